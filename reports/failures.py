"""The list of what failed, from a run's rows: which image, where, why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.results.row import Row


@dataclass(frozen=True)
class Failure:
    """Failures of one kind: the same method, pass, metric and reason; `images` in order."""

    method: str
    pass_name: str
    what: str
    reason: str
    images: tuple[str, ...]


def collect(rows: Iterable[Row]) -> list[Failure]:
    """Failures grouped by method, pass, metric and reason, sorted. An image that failed as a whole has no metric."""
    found: dict[tuple[str, str, str, str], set[str]] = {}
    for row in rows:
        if row.status == "failed":
            found.setdefault((row.method, row.pass_name, "", row.reason or "no reason given"), set()).add(row.image)
        for metric, reason in row.failures.items():
            found.setdefault((row.method, row.pass_name, f"{metric}@{row.protocol}", reason), set()).add(row.image)
    return [Failure(*key, tuple(sorted(images))) for key, images in sorted(found.items())]
