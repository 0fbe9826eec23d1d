"""What runs take on disk, and what of it nobody would use: results of old code
that no plan asks for again, and lines that were set aside. `prune` says what it
would remove; with --yes it does.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cli.printing import show, tell
from bench.core.errors import ExitCode, MissingError

if TYPE_CHECKING:
    from bench.results.prune import Use


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options on `parser`."""
    parser.add_argument("action", choices=("ls", "prune"), help="list what runs take, or remove what is stale")
    parser.add_argument(
        "--output", type=Path, default=Path("runs"), metavar="DIR", help="where runs lie (default: runs)"
    )
    parser.add_argument("--yes", action="store_true", help="prune: remove it")
    parser.add_argument("--json", action="store_true", help="the answer as JSON")


def run(options: argparse.Namespace) -> int:
    """Carry the command out; returns its exit code. Raises MissingError where there are no runs."""
    from bench.results.prune import prune, runs_in, use_of, versions_in

    runs = runs_in(options.output)
    if not runs:
        raise MissingError(f"{options.output} has no runs", "--output DIR, where they lie")
    versions = versions_in(options.output)
    uses = [use_of(folder, versions) for folder in runs]
    if options.action == "ls":
        _list(uses, as_json=options.json)
        return int(ExitCode.OK)
    idle = [use for use in uses if use.stale or use.leftover]
    rows = [{"run": use.run.name, "stale rows": use.stale, "set aside": _size(use.leftover)} for use in idle]
    show(
        [_plain(use) for use in idle] if options.json else rows,
        ("run", "stale rows", "set aside"),
        as_json=options.json,
    )
    if not (options.yes and idle):
        tell("nothing was removed; --yes removes it" if idle else "there is nothing to remove")
        return int(ExitCode.OK)
    for use in idle:
        for sentence in prune(use.run, versions):
            tell(sentence)
    freed = sum(use.bytes for use in idle) - sum(use_of(use.run, versions).bytes for use in idle)
    tell(f"removed {_size(freed)} from {len(idle)} runs")
    return int(ExitCode.OK)


def _list(uses: list[Use], *, as_json: bool) -> None:
    if as_json:
        show([_plain(use) for use in uses], (), as_json=True)
        return
    columns = ("size", "shared", "rows", "features", "unshown", "stale", "run")
    show([_row(use) for use in uses], columns)
    tell("shared: files that other runs have too; unshown: kept for later runs;\nstale: `cache prune` removes them")


def _row(use: Use) -> dict[str, object]:
    sizes = {"size": _size(use.bytes), "shared": _size(use.shared), "features": _size(use.features)}
    name = use.run.name + (f": {use.note}" if use.note else "")
    return {**sizes, "rows": use.rows, "unshown": use.unshown, "stale": use.stale, "run": name}


def _plain(use: Use) -> dict[str, object]:
    return {**vars(use), "run": str(use.run)}


def _size(count: int) -> str:
    from bench.weights.registry import human_bytes

    return human_bytes(count) if count else "0"
