"""How values spread over images, as small SVG charts that need no script: one a column, a line a method.

Each line is a box of the middle half of the images, a tick at the median, a dot at the mean, whiskers from the 5th to
the 95th percentile, and of few images every one as a point.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from reports.figures.palette import looks
from reports.numbers import digits
from reports.standing import Standing
from reports.table import Column, Row, Table

_WIDTH, _LEFT, _LINE, _HEAD, _FOOT = 380, 118, 19, 6, 20
# Above so many images the points of a line are one dark bar.
_MOST_POINTS = 60
_SHARES = (5, 25, 50, 75, 95)


@dataclass(frozen=True)
class Chart:
    """One column's values: its heading, and the SVG element (its text alternative inside)."""

    heading: str
    svg: str


@dataclass(frozen=True)
class Spread:
    """The charts of one block of a table."""

    title: str
    charts: tuple[Chart, ...]


def spreads(table: Table, standing: Standing) -> list[Spread]:
    """Charts of every column of a table that has one value an image; [] where there is none."""
    if standing.pairs is None:
        return []
    methods = [row for row in table.rows if row.kind == "method" and row.absent is None]
    colours = {name: look.colour for name, look in looks(row.name for row in methods).items()}
    found = []
    for block in table.blocks:
        charts = tuple(chart for column in block.columns for chart in _charts(column, methods, standing, colours))
        if charts:
            found.append(Spread(block.title, charts))
    return found


def _charts(column: Column, methods: Sequence[Row], standing: Standing, colours: Mapping[str, str]) -> Iterator[Chart]:
    assert standing.pairs is not None
    name = f"{column.metric.name}@{column.protocol}"
    values = {row.name: standing.pairs.values(column.pass_name.name, name, row.name) for row in methods}
    known = [(row, values[row.name].to_numpy()) for row in methods if len(values[row.name]) > 1]
    if known:
        yield Chart(column.heading, _svg(column, known, colours))


def _svg(column: Column, known: Sequence[tuple[Row, np.ndarray]], colours: Mapping[str, str]) -> str:
    low, high = _range([values for _, values in known])
    height = _HEAD + _LINE * len(known) + _FOOT

    def x(value: float) -> float:
        share = (float(np.clip(value, low, high)) - low) / (high - low)
        return round(_LEFT + share * (_WIDTH - _LEFT - 12), 1)

    decimals = column.metric.decimals
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(_words(column, known), quote=True)}">'
    ]
    for value in (low, (low + high) / 2, high):
        end = "end" if value == high else "start" if value == low else "middle"
        parts.append(
            f'<path class="grid" d="M{x(value)} {_HEAD}V{height - _FOOT}"/>'
            f'<text class="tick" x="{x(value)}" y="{height - 6}" text-anchor="{end}">{digits(value, decimals)}</text>'
        )
    for at, (row, values) in enumerate(known):
        parts.append(_line(row, values, _HEAD + _LINE * (at + 0.5), colours[row.name], x))
    return "".join([*parts, "</svg>"])


def _line(row: Row, values: np.ndarray, y: float, colour: str, x: Callable[[float], float]) -> str:
    low, first, middle, third, high = (x(float(value)) for value in np.percentile(values, _SHARES))
    points = ""
    if len(values) <= _MOST_POINTS:
        places = "".join(f"M{x(float(value))} {y + 5:g}h0" for value in values)
        points = f'<path class="points" stroke="{colour}" d="{places}"/>'
    return (
        f'<text x="{_LEFT - 8}" y="{y + 4:g}" text-anchor="end">{escape(row.title)}</text>'
        f'<path stroke="{colour}" d="M{low} {y:g}H{high}"/>{points}'
        f'<rect x="{first}" y="{y - 4:g}" width="{max(0.5, third - first):.1f}" height="8" fill="{colour}"/>'
        f'<path class="median" d="M{middle} {y - 6:g}v12"/>'
        f'<circle cx="{x(float(values.mean()))}" cy="{y:g}" r="2.2"/>'
    )


def _range(values: Sequence[np.ndarray]) -> tuple[float, float]:
    """Ends of the axis: all points, or of many images all whiskers and a little more."""
    spare = 0 if max(len(own) for own in values) <= _MOST_POINTS else 3
    low = min(float(np.percentile(own, spare)) for own in values)
    high = max(float(np.percentile(own, 100 - spare)) for own in values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _words(column: Column, known: Sequence[tuple[Row, np.ndarray]]) -> str:
    """What the chart shows, for those who do not see it."""
    medians = sorted((float(np.median(values)), row.title) for row, values in known)
    said = ", ".join(f"{title} {digits(value, column.metric.decimals)}" for value, title in medians)
    return f"{column.heading} over {max(len(values) for _, values in known)} images; medians: {said}."
