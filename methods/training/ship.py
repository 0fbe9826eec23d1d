"""Put what the chain trained into the folder of shipped weights, with its log, if it passes its checks.

    python -m methods.training.ship RUNS [--only NAMES] [--into FOLDER] [--not-better]

A file is shipped when its training came to its last step, its held-out figures are numbers, those that the file of the
same name has today are not worse by more than a hundredth, and it reconstructs better than what it builds on. With
`--not-better` one that does not is shipped all the same, and the card says so. Logs are thinned to a few dozen records
and kept as `logs/NAME.jsonl`. Write the card anew afterwards: `python -m methods.training.world_card FOLDER`.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError, ExitCode, MissingError, unknown_name
from bench.core.files import check_folder, write_atomic
from bench.core.metadata import read_metadata
from bench.world.networks import WEIGHTS
from methods.training.chain_plan import Chain, Node
from methods.training.journal import told
from methods.training.recipe import Recipe

LOWER_IS_BETTER, HIGHER_IS_BETTER = ("mse", "epe_px"), ("asked_psnr",)
TOLERANCE = 0.01
RECORDS = 40  # of losses, and as many of checks


def objections(node: Node, made: Path, before: Path, *, not_better: bool = False) -> Iterator[str]:
    """Why a trained file is not to be shipped; nothing if it may.

    Args:
        made: The file of the training runs.
        before: Where it goes; what lies there is what it must not be worse than.
        not_better: Take it although what it builds on reconstructs better.
    """
    if made.suffix != ".safetensors":
        return
    metadata = read_metadata(made)
    steps = metadata.get("made", {}).get("steps")
    if isinstance(node.content, Recipe) and steps is not None and steps < node.content.steps:
        yield f"stopped at step {steps} of {node.content.steps}"
    figures = metadata.get("held_out", {})
    yield from (f"{name} is no number" for name, value in figures.items() if not math.isfinite(value))
    if "psnr_before" in figures and not figures["psnr"] > figures["psnr_before"] and not not_better:
        yield f"psnr {figures['psnr']} is not better than the {figures['psnr_before']} of what it builds on"
    if not before.is_file():
        return
    earlier = read_metadata(before).get("held_out", {})
    for name in (*LOWER_IS_BETTER, *HIGHER_IS_BETTER):
        if name not in figures or name not in earlier:
            continue
        ratio = figures[name] / earlier[name] if name in LOWER_IS_BETTER else earlier[name] / figures[name]
        if ratio > 1 + TOLERANCE:
            yield f"{name} {figures[name]} is worse than the shipped file's {earlier[name]}"


def thinned(log: Path) -> list[str]:
    """Lines of a `log.jsonl`: about `RECORDS` of losses evenly spread, and as many held-out checks."""
    records = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line.strip()]
    kept = [id(record) for kind in ("losses", "check") for record in _spread([r for r in records if kind in r])]
    return [json.dumps(record) for record in records if id(record) in kept]


def _spread(records: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """At most `RECORDS` of them, the first and the last among them."""
    if len(records) <= RECORDS:
        return list(records)
    return [records[round(k * (len(records) - 1) / (RECORDS - 1))] for k in range(RECORDS)]


def ship(runs: Path, folder: Path, only: Sequence[str] = (), *, not_better: bool = False) -> dict[str, str]:
    """Copy what may be shipped; what became of each file, by name. Raises UsageError for an unknown name in `only`."""
    found: dict[str, str] = {}
    nodes = Chain.of("world").nodes
    names = [node.name.removeprefix("world/") for node in nodes]
    if unknown := sorted(set(only) - set(names)):
        raise unknown_name("recipe", unknown[0], names)
    for node in nodes:
        if node.content.intermediate or node.content.keep or (only and node.name.removeprefix("world/") not in only):
            continue
        made = [runs / node.name / name for name in node.files]
        if not all(path.is_file() for path in made):
            continue
        against = [text for path in made for text in objections(node, path, folder / path.name, not_better=not_better)]
        for path in made:
            found[path.name] = "; ".join(against) or "shipped"
        if not against:
            _copy(node, made, folder, runs / node.name / "log.jsonl")
    return found


def _copy(node: Node, made: Sequence[Path], folder: Path, log: Path) -> None:
    for path in made:
        write_atomic(folder / path.name, path.read_bytes())
    if log.is_file():
        write_atomic(folder / "logs" / f"{Path(node.output).stem}.jsonl", "".join(f"{line}\n" for line in thinned(log)))


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code: 0 if everything that was trained is shipped, 1 if a check said no."""
    parser = argparse.ArgumentParser(prog="python -m methods.training.ship", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("runs", type=Path, help="folder of all training runs")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="recipes, without the group")
    parser.add_argument("--into", type=Path, default=WEIGHTS, help="folder of weights (default: the shipped ones)")
    parser.add_argument("--not-better", action="store_true", help="also what reconstructs no better than its base")
    args = parser.parse_args(argv)
    try:
        check_folder(args.into, "--into")
        outcome = ship(args.runs, args.into, args.only, not_better=args.not_better)
        if not outcome:
            raise MissingError(
                f"nothing to ship in {args.runs}", "python -m methods.training world --out RUNS trains it"
            )
    except BenchError as error:
        return told(error)
    for name, text in outcome.items():
        print(f"{name:40s} {text}")
    return int(ExitCode.GATE if any(text != "shipped" for text in outcome.values()) else ExitCode.OK)


if __name__ == "__main__":
    sys.exit(main())
