"""The plan of a run, printed: every cell, what is missing, the commands that get it, and what it will cost."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from textwrap import wrap
from typing import Any

from bench.cli.printing import columns_here, tell
from bench.core.errors import FETCH, ExitCode, MissingError
from bench.core.text_table import WIDTH, aligned, wrapped
from bench.data.check import quick, warnings_of
from bench.plan.beyond import further_methods
from bench.plan.build import Assembly
from bench.plan.config import Config
from bench.plan.dry_run import PlannedCell, bytes_left, planned_cells, statuses, what_is_there
from bench.plan.eta import seconds_left, words
from bench.plan.limits import check_space
from bench.plan.missing import MissingItem, fetch_names, missing_items
from bench.plan.work import NOT_APPLICABLE, UNUSABLE
from bench.run.workers import possible
from bench.weights.registry import human_bytes

_COMMAND = re.compile(r"python (?:run_bench\.py|-m) [^;,]*")
# A blank at which no line is broken.
_HELD = "\u00a0"


def print_plan(config: Config, assembly: Assembly, folder: Path, *, fresh: bool, as_json: bool) -> int:
    """Print what a run would do; `folder` is the run's, of which a `fresh` one takes nothing over."""
    there = what_is_there(assembly.work, folder, fresh=fresh)
    cells, items = planned_cells(assembly, there), missing_items(assembly.missing)
    problems = quick(assembly.work.images)
    code = max(_tell_unusable(assembly), _tell_full(folder, assembly, cells))
    if as_json:
        more = {"unusable": problems, "known_in_part": there.in_part}
        print(json.dumps(_plain(config, assembly, folder, cells, items) | more, ensure_ascii=False))
        return code
    notes = [there.in_part] if there.in_part else []
    notes += warnings_of(problems, len(assembly.work.images))
    lines = [*_head(config, assembly, folder, cells, notes), "", *_cells_table(cells), "", *_states(assembly)]
    lines += ["", *_missing(items), "", *_steps(items)] if items else ["", "missing: nothing"]
    lines += ["", *_beyond(config), "", *_costs(config, assembly, cells)]
    print("\n".join(lines))
    return code


def _tell_unusable(assembly: Assembly) -> int:
    """Say on stderr which files are here and are not what they are given for; the exit code of the plan."""
    unusable = {need.reason: need.command for need in assembly.missing if need.status == UNUSABLE}
    for reason, command in unusable.items():
        tell(f"error: {reason}" + (f"\n  next: {command}" if command else ""))
    return int(ExitCode.MISSING if unusable else ExitCode.OK)


def _tell_full(folder: Path, assembly: Assembly, cells: Sequence[PlannedCell]) -> int:
    """Say on stderr that the disk has no room for the results; the exit code of the plan."""
    size = bytes_left(cells, assembly.work.evaluators)
    try:
        check_space(folder, size or 0, sum(cell.todo or 0 for cell in cells))
    except MissingError as error:
        tell(f"error: {error.what}\n  next: {error.next_step}")
        return int(ExitCode.MISSING)
    return int(ExitCode.OK)


def _plain(
    config: Config, assembly: Assembly, folder: Path, cells: Sequence[PlannedCell], items: Sequence[MissingItem]
) -> dict[str, Any]:
    """The plan as data."""
    seconds, unknown = _seconds(config, assembly, cells)
    names = fetch_names(items)
    return {
        "run": str(folder),
        "cells": [_plain_cell(cell) for cell in cells],
        "methods": statuses(assembly),
        "missing": [asdict(one) for one in assembly.missing],
        "gaps": [asdict(item) for item in items],
        "fetch": {"command": f"{FETCH} {' '.join(names)}" if names else "", "bytes": _fetch_bytes(items)},
        "notes": assembly.notes,
        "beyond": [asdict(further) for further in further_methods(config)],
        "disk_bytes": bytes_left(cells, assembly.work.evaluators),
        "seconds": seconds,
        "seconds_unknown_of": unknown,
    }


def _plain_cell(cell: PlannedCell) -> dict[str, Any]:
    """A cell under the names that the plan's JSON has had from the start."""
    named = {"pass_name": "column", "images": "pictures"}
    return {named.get(name, name): value for name, value in asdict(cell).items()}


def _head(
    config: Config, assembly: Assembly, folder: Path, cells: Sequence[PlannedCell], notes: Sequence[str]
) -> Iterator[str]:
    count = f"{len(assembly.work.images):,}" if assembly.counted else "?"
    todo = [cell.todo for cell in cells]
    results = "?" if None in todo else f"{sum(number or 0 for number in todo):,}"
    rows = [
        ("run", str(folder)),
        ("images", f"{count} of {config.data.name}, {config.data.split}"),
        ("protocols", ", ".join(evaluator.protocol for evaluator in assembly.work.evaluators)),
        ("results", f"{results} to compute, {sum(cell.done for cell in cells):,} there"),
        *(("note", note) for note in (*assembly.notes, *notes)),
    ]
    return wrapped(rows)


def _cells_table(cells: Sequence[PlannedCell]) -> list[str]:
    """A line a method and pass; its images are the same under every protocol, `done` counts results of all."""
    blocks: dict[tuple[str, str], list[PlannedCell]] = {}
    for cell in cells:
        blocks.setdefault((cell.method, cell.pass_name), []).append(cell)
    rows = [("method", "pass", "strength", "subset", "images", "done")]
    last = ""
    for (method, column), found in blocks.items():
        first = found[0]
        strength = f"{first.strength:+g}" if first.strength else ""
        images = "?" if first.images is None else str(first.images)
        done = str(sum(cell.done for cell in found))
        rows.append(("" if method == last else method, column, strength, first.inputs, images, done))
        last = method
    # What does not fit is cut off the method's name, which the table of methods below spells out.
    room = max(WIDTH, columns_here()) - max(map(len, aligned([("", *row[1:]) for row in rows])))
    return aligned([(row[0][:room], *row[1:]) for row in rows], right=(2, 4, 5))


def _states(assembly: Assembly) -> Iterator[str]:
    rows = [(name, state, _lacks(name, assembly)) for name, state in statuses(assembly).items()]
    return wrapped([("method", "state", "lacks"), *rows])


def _lacks(name: str, assembly: Assembly) -> str:
    own = {"methods": "a checkpoint", "edits": "a direction"}
    lacking = [one for one in assembly.missing if one.kind in own and one.status != NOT_APPLICABLE]
    missing = [one for one in lacking if name in (one.method, one.name)]
    return ", ".join(dict.fromkeys(file for one in missing for file in one.files or (own[one.kind],)))


def _missing(items: Sequence[MissingItem]) -> Iterator[str]:
    rows = [("missing", "size", "needed for")]
    for item in items:
        uses = ", ".join(item.needed_for) if item.needed_for != (item.name,) else item.reason
        rows.append((item.name, human_bytes(item.bytes) if item.bytes else "", uses))
    return wrapped(rows, right=(1,))


def _beyond(config: Config) -> Iterator[str]:
    """Methods that the preset leaves out, each with its state and licence."""
    yield "not asked for (--methods NAME,...; run_bench.py ls methods says what gets each)"
    rows = []
    for item in further_methods(config):
        lacks = f"; {'use' if item.state == NOT_APPLICABLE else 'lacks'} {', '.join(item.lacks)}" if item.lacks else ""
        rows.append((item.name, item.state, (item.licence or "ours") + lacks))
    yield from wrapped(rows, indent="  ")


def _steps(items: Sequence[MissingItem]) -> Iterator[str]:
    """What to do, a step each; all that can be fetched in one command at the end, with its size."""
    yield "what gets it"
    for item in items:
        if item.command and not item.fetchable:
            # A file of the registry that has no address: its note says why, and how to take it over by hand.
            about = f"{item.reason if item.kind == 'direction' else item.name}: {item.command}"
            yield from _advice(about)
    names = fetch_names(items)
    if names:
        yield f"  these {len(names)} files, about {human_bytes(_fetch_bytes(items))} together:"
        yield from _command(f"{FETCH} {' '.join(names)}")


def _advice(text: str) -> Iterator[str]:
    """A step over as many lines as it takes; a command in it stays whole, or goes on after a backslash."""
    held = _COMMAND.sub(lambda found: found[0].replace(" ", _HELD), text)
    lines = wrap(
        held, WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False, break_long_words=False
    )
    for line in lines:
        words = line.replace(_HELD, " ")
        yield from [words] if len(words) <= WIDTH or _HELD not in line else _command(words.strip(), "    ")


def _command(words: str, indent: str = "  ") -> Iterator[str]:
    """One command over as many lines as it takes, ready for a shell."""
    room = WIDTH - len(indent) - 4
    lines = wrap(words, room, break_on_hyphens=False, break_long_words=False)
    for number, line in enumerate(lines):
        yield indent + ("  " if number else "") + line + (" \\" if number < len(lines) - 1 else "")


def _fetch_bytes(items: Sequence[MissingItem]) -> int:
    return sum(item.bytes for item in items if item.fetchable)


def _costs(config: Config, assembly: Assembly, cells: Sequence[PlannedCell]) -> Iterator[str]:
    size = bytes_left(cells, assembly.work.evaluators)
    known = "" if size is None else f"about {human_bytes(size)} for the results that are missing"
    unknown = "not known without the data: it grows with their number"
    return wrapped([("disk", known or unknown), ("time", _eta(config, assembly, cells))])


def _eta(config: Config, assembly: Assembly, cells: Sequence[PlannedCell]) -> str:
    """Time left, from earlier runs of the same methods on this machine."""
    seconds, unknown = _seconds(config, assembly, cells)
    if seconds is None:
        return "not known without the data"
    known = f"about {words(seconds)} on this machine" if seconds else ""
    if not unknown:
        return known or "none, all results are there"
    start = f"{known} for the others; " if known else ""
    return f"{start}not known of {', '.join(unknown)}, which never ran here like this; a run with --limit 8 finds out"


def _seconds(config: Config, assembly: Assembly, cells: Sequence[PlannedCell]) -> tuple[float | None, list[str]]:
    todo: Mapping[str, int] = {
        name: sum(cell.todo or 0 for cell in cells if cell.method == name) for name in assembly.columns
    }
    if not assembly.counted:
        return None, list(todo)
    return seconds_left(assembly.work, todo, possible(assembly.work.device, config.run.workers))
