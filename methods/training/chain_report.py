"""What a chain tells: its plan, where a step stands, and the table at the end."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.core.errors import MissingError
from bench.core.files import write_atomic
from bench.core.text_table import wrapped
from methods.training.chain_plan import Chain, Node
from methods.training.provenance import made_of
from methods.training.recipe import Recipe
from methods.training.world import find


def plan(chain: Chain, wanted: Sequence[Node], runs: Path) -> str:
    """Which steps would be made, and why."""
    states = {node: f"{'run: ' if node in wanted else ''}{node.state(runs)}" for node in chain.nodes}
    lines = [[node.name, _size(node), state] for node, state in states.items()]
    return "\n".join(wrapped([["recipe", "steps x batch", "state"], *lines]))


def report(nodes: Sequence[Node], outcomes: Mapping[str, str], runs: Path) -> str:
    """Every step with its size, speed, outcome and held-out figures; also written to `chain.json` in `runs`."""
    rows = [_row(node, outcomes, runs) for node in nodes]
    write_atomic(runs / "chain.json", json.dumps(rows, indent=1))
    heads = ("recipe", "steps", "pictures", "images/s", "seconds")
    lines = [[*(str(row[head]) for head in heads), f"{row['state']}  {row['held-out figures']}"] for row in rows]
    return "\n".join(wrapped([[*heads, "state and held-out figures"], *lines]))


def standing(folder: Path) -> str:
    """Where a step's log is: step, speed and the first figure of the last check."""
    losses, check = _last(folder / "log.jsonl")
    if not losses:
        return ""
    figure = "".join(f", {each}" for each in _figures(check.get("check", {}))[:1])
    return f"step {losses['step']}, {losses.get('pictures_per_s', 0):.0f} images/s{figure}"


def _row(node: Node, outcomes: Mapping[str, str], runs: Path) -> dict[str, Any]:
    losses, check = _last(runs / node.name / "log.jsonl")
    state = outcomes.get(node.name) or node.state(runs)
    made = _made(node, runs) if state in ("made", "current", "kept") else {}
    step = made.get("steps", losses.get("step", 0))
    images = made.get("pictures", step * node.content.batch if isinstance(node.content, Recipe) else 0)
    seconds = made.get("wall_time_s", losses.get("seconds", 0))
    return {
        "recipe": node.name,
        "state": state,
        "steps": step,
        "pictures": images,
        "images/s": round(images / seconds, 1) if seconds and images else "-",
        "seconds": seconds,
        "held-out figures": ", ".join(_figures(check.get("check", {}))),
    }


def _made(node: Node, runs: Path) -> dict[str, Any]:
    try:
        return made_of(find(node.output, runs))
    except MissingError:
        return {}


def _last(log: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The last records of losses and of a check in a training's log; empty where there is none."""
    losses: dict[str, Any] = {}
    check: dict[str, Any] = {}
    if log.is_file():
        for line in log.read_text(encoding="utf-8").splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            losses, check = (record, check) if "losses" in record else (losses, record)
    return losses, check


def _figures(check: Mapping[str, Any]) -> list[str]:
    """Those of the whole; single edits' stand in the log."""
    return [f"{name} {value:.4g}" for name, value in check.items() if "/" not in name]


def _size(node: Node) -> str:
    if not isinstance(node.content, Recipe):
        return "program"
    return f"{node.content.scaled(node.budget).steps} x {node.content.batch}"
