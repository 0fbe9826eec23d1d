"""Two runs, one verdict: is the second worse than the first?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from bench.core.errors import UsageError
from bench.results.paired import Difference

Verdict = Literal["same", "better", "worse", "missing", "moved", "unjudged"]
Better = Callable[[str], Literal["up", "down", "none"]]
# (method, pass, column) -> the second run minus the first, image by image; None for a metric of sets.
Paired = Callable[[str, str, str], Difference | None]


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
            f"the runs are over different pictures ({counts}): {'; '.join(only)}",
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
    first: Mapping[tuple[str, str], Mapping[str, Any]],
    second: Mapping[tuple[str, str], Mapping[str, Any]],
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
    findings = []
    for (method, edit), cells in sorted(first.items()):
        for column, cell in sorted(cells.items()):
            other: Any = second.get((method, edit), {}).get(column)
            found = _without_judgement(method, edit, column, cell, other, better(column))
            if found is None:
                found = _judged(
                    Finding(method, edit, column, cell.value, other.value, "same"),
                    moved=abs(other.value - cell.value) > tolerance * abs(cell.value),
                    apart=_told_apart(cell, other, paired(method, edit, column)),
                    improved=(other.value > cell.value) == (better(column) == "up"),
                    enough=min(cell.n, other.n) >= smallest(column),
                )
            findings.append(found)
    return findings


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


def _without_judgement(method: str, edit: str, column: str, cell: Any, other: Any, direction: str) -> Finding | None:
    """The finding where no size of a change decides it."""
    before, after = cell.value, other.value if other is not None else None
    if before is None:
        return Finding(method, edit, column, before, after, "unjudged", "the first run has no value")
    if after is None:
        return Finding(method, edit, column, before, None, "missing", "the second run has no value")
    if other.failed > cell.failed:
        return Finding(method, edit, column, before, after, "worse", f"{other.failed} failed, before {cell.failed}")
    if direction == "none":
        return Finding(method, edit, column, before, after, "unjudged", "neither way is better")
    return None


def _told_apart(cell: Any, other: Any, paired: Difference | None) -> bool:
    if paired is not None:
        return paired.leaves_out_zero or paired.low is None
    if None in (cell.low, cell.high, other.low, other.high):
        return True
    return bool(cell.high < other.low or other.high < cell.low)


def _judged(found: Finding, *, moved: bool, apart: bool, improved: bool, enough: bool) -> Finding:
    if not (moved and apart):
        return found
    if not improved:
        return replace(found, verdict="worse")
    if not enough:
        return replace(found, verdict="unjudged", detail="a gain, over too few pictures to be called one")
    return replace(found, verdict="better")
