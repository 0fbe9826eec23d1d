"""Methods on the same images: means of the differences, image by image, and who can be told from whom by them.

What makes an image hard is hard for both methods, so the difference of two methods is known far better than the
intervals of their means suggest: those may overlap while nearly every image says the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bench.results.store import Row
from bench.results.summaries import rules_of
from metrics.intervals import drawn_interval
from metrics.protocol import Bootstrap, ProtocolFile
from metrics.summary import effective_rule

Verdict = Literal["better", "worse", "same", "too few", ""]
Direction = Literal["up", "down", "none"]
Better = Callable[[str], Direction]


@dataclass(frozen=True)
class Difference:
    """Second method minus first in one column of one pass.

    Attributes:
        edit: The pass ("pose+").
        column: `metric@protocol`.
        first, second: Means over the images that have both values.
        value, low, high: Mean difference and its 95 % interval; None where there are fewer than two images.
        n: Images that have both.
        verdict: Of the second method where the interval leaves out 0, else "same"; "too few" below the protocol's
            `smallest_marked` images; "" where neither way is better.
        enough: Whether there are that many images.
    """

    edit: str
    column: str
    first: float
    second: float
    value: float
    low: float | None
    high: float | None
    n: int
    verdict: Verdict = ""
    enough: bool = True

    @property
    def differs(self) -> bool:
        """Whether the interval leaves out 0, over enough images to say so."""
        return self.enough and self.leaves_out_zero

    @property
    def leaves_out_zero(self) -> bool:
        """Whether the interval leaves out 0, over however many images."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)

    def judged(self, better: Direction) -> Difference:
        """The same with its verdict."""
        verdict: Verdict = ""
        if better != "none":
            verdict = "too few" if not self.enough else "same"
            if self.differs:
                verdict = "better" if (self.value > 0) == (better == "up") else "worse"
        return replace(self, verdict=verdict)


def difference(
    edit: str, column: str, first: Mapping[str, float], second: Mapping[str, float], numbers: Bootstrap
) -> Difference | None:
    """Second minus first of two methods' values by image; None without an image that both have."""
    names = sorted(first.keys() & second.keys())
    if not names:
        return None
    one, other = (np.array([values[name] for name in names]) for values in (first, second))
    gained = other - one
    low, high = drawn_interval(gained, numbers)
    enough = len(names) >= numbers.smallest_marked
    first_mean, second_mean, mean = (float(values.mean()) for values in (one, other, gained))
    return Difference(edit, column, first_mean, second_mean, mean, low, high, len(names), enough=enough)


class Pairs:
    """The values of a run by image, and the difference of any two methods; each is made when it is first asked for.

    Args:
        rows: Of a run.
        rules: Protocol by name.
    """

    def __init__(self, rows: Sequence[Row], rules: Mapping[str, ProtocolFile]) -> None:
        self.rules = rules
        self._rows: dict[tuple[str, str], dict[str, list[Row]]] = {}
        for row in rows:
            if row.protocol in rules:
                self._rows.setdefault((row.pass_name, row.protocol), {}).setdefault(row.method, []).append(row)
        self._values: dict[tuple[str, str, str], dict[str, float]] = {}
        self._found: dict[tuple[str, str, str, str], Difference | None] = {}

    @classmethod
    def of_run(cls, run: Path, manifest: Mapping[str, Any], rows: Sequence[Row]) -> Pairs:
        """Those of a run's folder. Raises MissingError where a protocol is no longer the one of the rows."""
        return cls(rows, {name: rules_of(run, name, about) for name, about in manifest["protocols"].items()})

    def values(self, edit: str, column: str, method: str) -> dict[str, float]:
        """Image -> value in a column (`metric@protocol`) of a pass, a failed one as its mean counts it."""
        key = edit, column, method
        if key not in self._values:
            metric, _, protocol = column.partition("@")
            own = self._rows.get((edit, protocol), {}).get(method, ())
            zero = protocol in self.rules and _counts_as_zero(metric, self.rules[protocol])
            found = {row.image: value for row in own if (value := _value(row, metric, zero)) is not None}
            self._values[key] = dict(sorted(found.items()))
        return self._values[key]

    def methods(self, edit: str, column: str) -> list[str]:
        """Who has such values, in the order of the rows."""
        known = self._rows.get((edit, column.partition("@")[2]), {})
        return [method for method in known if self.values(edit, column, method)]

    def difference(self, edit: str, column: str, first: str, second: str) -> Difference | None:
        """Second minus first, without a verdict; None where the column has no values of both by image."""
        key = edit, column, first, second
        if key not in self._found:
            ours, theirs = (self.values(edit, column, method) for method in (first, second))
            protocol = self.rules.get(column.partition("@")[2])
            self._found[key] = difference(edit, column, ours, theirs, protocol.numbers) if protocol else None
        return self._found[key]

    def columns(self, edit: str, protocol: str, methods: Sequence[str]) -> list[str]:
        """Columns with a value an image of any of the methods."""
        known = self._rows.get((edit, protocol), {})
        metrics = dict.fromkeys(metric for method in methods for row in known.get(method, ()) for metric in row.values)
        return [f"{metric}@{protocol}" for metric in metrics]

    def all_differences(self, first: str, second: str, better: Better) -> Iterator[Difference]:
        """Every column that both methods have, with its verdict, in the order of the rows' passes.

        Args:
            better: `metric@protocol` -> which way is better.
        """
        for edit, protocol in self._rows:
            for column in self.columns(edit, protocol, (first, second)):
                if (found := self.difference(edit, column, first, second)) is not None:
                    yield found.judged(better(column))


def _counts_as_zero(metric: str, rules: ProtocolFile) -> bool:
    listed = next((column for column in rules.columns if column.metric == metric), None)
    return listed is not None and effective_rule(listed, rules) == "zero"


def _value(row: Row, metric: str, zero: bool) -> float | None:
    value = row.values.get(metric)
    if value is not None and math.isfinite(value):
        return value
    failed = value is not None or metric in row.failures or row.status == "failed"
    return 0.0 if zero and failed else None
