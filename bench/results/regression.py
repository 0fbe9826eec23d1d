"""Two runs, one verdict: is the second worse than the first?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from bench.core.errors import UsageError
from metrics.summary import Cell

if TYPE_CHECKING:
    from bench.results.paired import Better, Difference, Direction

    # (method, pass, column) -> the second run minus the first, image by image; None for a metric of sets.
    Paired = Callable[[str, str, str], Difference | None]

Verdict = Literal["same", "better", "worse", "missing", "moved", "unjudged"]


@dataclass(frozen=True)
class Finding:
    """One cell of both runs.

    Attributes:
        column: `metric@protocol`.
        before, after: Values; None where there is none.
        verdict: "worse", "missing" and "moved" close the gate.
    """

    method: str
    edit: str
    column: str
    before: float | None
    after: float | None
    verdict: Verdict
    detail: str = ""


def check_comparable(first: Mapping[str, Any], second: Mapping[str, Any]) -> None:
    """Raise UsageError unless both manifests speak of the same images under the same protocols."""
    images = [{name: about["digest"] for name, about in manifest["pictures"].items()} for manifest in (first, second)]
    if images[0] != images[1]:
        counts = " and ".join(str(len(found)) for found in images)
        lacks = [_some(name for name in one if other.get(name) != one[name]) for one, other in (images, images[::-1])]
        only = [
            f"only the {which} run has {names}"
            for which, names in zip(("first", "second"), lacks, strict=True)
            if names
        ]
        raise UsageError(
            f"the runs are over different images ({counts}): {'; '.join(only)}",
            "run both with the same --data and --limit",
        )
    for name in sorted({*first["protocols"], *second["protocols"]}):
        # Not the code: comparing versions of it is what a gate is for.
        about = [manifest["protocols"].get(name, {}) for manifest in (first, second)]
        digests = [own.get("networks", own.get("digest")) for own in about]
        if digests[0] != digests[1]:
            raise UsageError(f"the runs differ in the protocol {name} or its networks", "run one of them again")


def _some(names: Iterable[str], most: int = 5) -> str:
    found = sorted(names)
    return ", ".join(found[:most]) + (f" and {len(found) - most} more" if len(found) > most else "")


def compare(
    first: Mapping[tuple[str, str], Mapping[str, Cell]],
    second: Mapping[tuple[str, str], Mapping[str, Cell]],
    better: Better,
    tolerance: float = 0.02,
    paired: Paired = lambda method, edit, column: None,
    smallest: Callable[[str], int] = lambda column: 30,
) -> list[Finding]:
    """Compare every cell of the first run with the second's.

    A value is worse (or better) when it moved by more than `tolerance` of its size and the two can be told apart: by
    their difference image by image, and for metrics of sets by 95 % intervals that do not overlap. More failures than
    before are worse in any case, and so is a cell that is gone. Below `smallest` images (of a column's protocol) no
    gain is called one; a loss still closes the gate, since over the same images it is the program that moved.
    """
    return [
        _finding(
            Finding(method, edit, column, cell.value, other.value if other else None, "same"),
            cell,
            other,
            better(column),
            tolerance,
            paired(method, edit, column),
            smallest(column),
        )
        for (method, edit), cells in sorted(first.items())
        for column, cell in sorted(cells.items())
        for other in [second.get((method, edit), {}).get(column)]
    ]


def moved(findings: Iterable[Finding], tolerance: float) -> list[Finding]:
    """The same cells judged by whether they are what they were, whichever way is better.

    "moved" is a value that changed by more than `tolerance` of its size, or of 1 where it is smaller.
    """
    return [
        replace(found, verdict="moved")
        if found.before is not None
        and found.after is not None
        and abs(found.after - found.before) > tolerance * max(1.0, abs(found.before))
        else replace(found, verdict="same" if found.verdict == "better" else found.verdict)
        for found in findings
    ]


def _finding(
    found: Finding,
    cell: Cell,
    other: Cell | None,
    direction: Direction,
    tolerance: float,
    paired: Difference | None,
    smallest: int,
) -> Finding:
    if found.before is None:
        return replace(found, verdict="unjudged", detail="the first run has no value")
    if other is None or found.after is None:
        return replace(found, verdict="missing", detail="the second run has no value")
    if other.failed > cell.failed:
        return replace(found, verdict="worse", detail=f"{other.failed} failed, before {cell.failed}")
    if direction == "none":
        return replace(found, verdict="unjudged", detail="neither way is better")
    return _judged(
        found,
        moved=abs(found.after - found.before) > tolerance * abs(found.before),
        apart=_told_apart(cell, other, paired),
        improved=(found.after > found.before) == (direction == "up"),
        enough=min(cell.n, other.n) >= smallest,
    )


def _told_apart(cell: Cell, other: Cell, paired: Difference | None) -> bool:
    if paired is not None:
        return paired.leaves_out_zero or paired.low is None
    if cell.low is None or cell.high is None or other.low is None or other.high is None:
        return True
    return cell.high < other.low or other.high < cell.low


def _judged(found: Finding, *, moved: bool, apart: bool, improved: bool, enough: bool) -> Finding:
    if not (moved and apart):
        return found
    if not improved:
        return replace(found, verdict="worse")
    if not enough:
        return replace(found, verdict="unjudged", detail="a gain, over too few images to be called one")
    return replace(found, verdict="better")
