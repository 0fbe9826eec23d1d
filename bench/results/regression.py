"""Two runs, one verdict: is the second worse than the first?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bench.core.errors import UsageError

Verdict = Literal["same", "better", "worse", "missing", "unjudged"]
Better = Callable[[str], Literal["up", "down", "none"]]


@dataclass(frozen=True)
class Finding:
    """One cell of both runs.

    Attributes:
        column: `metric@protocol`.
        before, after: Values; None where there is none.
        verdict: "worse" and "missing" close the gate.
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
) -> list[Finding]:
    """Compare every cell of the first run with the second's.

    A value is worse (or better) when it moved by more than `tolerance` of its size and out of the first run's 95 %
    interval; more failures than before are worse in any case, and so is a cell that is gone.
    """
    findings = []
    for (method, edit), cells in sorted(first.items()):
        for column, cell in sorted(cells.items()):
            other = second.get((method, edit), {}).get(column)
            findings.append(_finding(method, edit, column, cell, other, better, tolerance))
    return findings


def _finding(method: str, edit: str, column: str, cell: Any, other: Any, better: Better, tolerance: float) -> Finding:
    before, after = cell.value, other.value if other is not None else None
    if before is None:
        return Finding(method, edit, column, before, after, "unjudged", "the first run has no value")
    if after is None:
        return Finding(method, edit, column, before, None, "missing", "the second run has no value")
    if other.failed > cell.failed:
        return Finding(method, edit, column, before, after, "worse", f"{other.failed} failed, before {cell.failed}")
    direction = better(column)
    if direction == "none":
        return Finding(method, edit, column, before, after, "unjudged", "neither way is better")
    moved = abs(after - before) > tolerance * abs(before)
    outside = cell.low is None or cell.high is None or not cell.low <= after <= cell.high
    if not (moved and outside):
        return Finding(method, edit, column, before, after, "same")
    improved = (after > before) == (direction == "up")
    return Finding(method, edit, column, before, after, "better" if improved else "worse")
