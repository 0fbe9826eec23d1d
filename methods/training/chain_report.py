"""What a chain tells: its plan, where a step stands, and the table at the end."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.core.errors import MissingError
from bench.core.files import write_atomic
from bench.core.text_table import aligned
from methods.training.chain_plan import Chain, Node
from methods.training.provenance import made_of
from methods.training.recipe import Recipe
from methods.training.world import find


def plan(chain: Chain, wanted: Sequence[Node], runs: Path) -> str:
    """What would be done, a line a step."""
    lines = [
        [node.name, node.state(runs), "run" if node in wanted else "-", _size(node), " ".join(node.content.needs)]
        for node in chain.nodes
    ]
    return "\n".join(aligned([["recipe", "state", "plan", "steps x batch", "needs"], *lines]))


def report(nodes: Sequence[Node], outcomes: Mapping[str, str], runs: Path) -> str:
    """Every step with its outcome, size, speed and held-out figures; also written to `chain.json` in `runs`."""
    rows = [_row(node, outcomes, runs) for node in nodes]
    write_atomic(runs / "chain.json", json.dumps(rows, indent=1))
    heads = ("recipe", "state", "steps", "pictures", "images/s", "seconds", "held-out figures")
    return "\n".join(aligned([heads, *([str(row[head]) for head in heads] for row in rows)]))


def standing(folder: Path) -> str:
    """Where a step's log is: step, speed and the last check."""
    losses, check = _last(folder / "log.jsonl")
    if not losses:
        return ""
    figures = f"  {_figures(check.get('check', {}))}" if check else ""
    return f"step {losses['step']}, {losses.get('pictures_per_s', 0):.0f} images/s{figures}"


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
        "held-out figures": _figures(check.get("check", {})),
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


def _figures(check: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in check.items())


def _size(node: Node) -> str:
    if not isinstance(node.content, Recipe):
        return f"({node.content.program})"
    return f"{node.content.scaled(node.budget).steps} x {node.content.batch}"
