"""Methods that were trained more than once: the mean of their numbers over the seeds, and how far these lie apart.

A further seed of a method is a method called <name>-s<number>. An interval in a table says what other images would
change; this says what another training would.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace

from reports.table import DASH, Column, Entry, Row

GROUP = "Over seeds"
_SEED = re.compile(r"-s\d+$")


def first_seed(name: str) -> str:
    """The method that a further seed belongs to ("warpres-s43" -> "warpres"); any other name as it is."""
    return _SEED.sub("", name)


def seed_of(name: str) -> str:
    """ "-s43"; "" for a method's first seed."""
    return name.removeprefix(first_seed(name))


def seed_rows(rows: Sequence[Row], columns: Sequence[Column]) -> list[Row]:
    """Two rows below the methods for each that is here with several seeds: mean, and sample standard deviation.

    A cell is a dash where a seed has no number, or not all of its images. A deviation has one digit more than its
    column.
    """
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(first_seed(row.name), []).append(row)
    several = {name: own for name, own in found.items() if len(own) > 1 and own[0].name == name}
    return [row for name, own in several.items() for row in _spread(name, own, columns)]


def _spread(name: str, rows: Sequence[Row], columns: Sequence[Column]) -> tuple[Row, Row]:
    title, seeds = rows[0].title, f"{len(rows)} seeds"
    cells = list(zip(*(row.entries for row in rows), strict=True))
    means = tuple(_over(cell, statistics.fmean) for cell in cells)
    deviations = tuple(
        replace(_over(cell, statistics.stdev), decimals=column.metric.decimals + 1)
        for cell, column in zip(cells, columns, strict=True)
    )
    return (
        Row(f"{name}-mean", f"{title} (mean of {seeds})", means, "reference", GROUP),
        Row(f"{name}-sd", f"{title} (SD over {seeds})", deviations, "reference", GROUP),
    )


def _over(cell: Sequence[Entry], statistic: Callable[[list[float]], float]) -> Entry:
    values = [entry.value for entry in cell if entry.value is not None and not entry.part]
    if len(values) < len(cell):
        return Entry(word=DASH)
    return Entry(statistic(values), n=cell[0].n)
