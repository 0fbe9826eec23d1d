"""Methods on the same images: means of the differences, image by image, and who can be told from whom by them.

What makes an image hard is hard for both methods, so the difference of two methods is known far better than the
intervals of their means suggest: those may overlap while nearly every image says the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd

from bench.results.frame import metrics_of
from bench.results.summaries import rules_of
from bench.results.wholeness import Results
from metrics.intervals import drawn_interval
from metrics.protocol import Bootstrap, ProtocolFile
from metrics.summary import effective_rule

Verdict = Literal["better", "worse", "not separable", "too few", ""]
Direction = Literal["up", "down", "none"]
Better = Callable[[str], Direction]
_NOTHING = pd.Series(dtype="float64")


@dataclass(frozen=True)
class Difference:
    """Second method minus first in one column of one pass.

    Attributes:
        edit: The pass ("pose+").
        column: `metric@protocol`.
        first, second: Means over the images that have both values.
        value, low, high: Mean difference and its 95 % interval; None where there are fewer than two images.
        n: Images that have both.
        verdict: Of the second method where the interval leaves out 0, else "not separable"; "too few" below the
            protocol's `smallest_marked` images; "" where neither way is better.
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
            verdict = "too few" if not self.enough else "not separable"
            if self.differs:
                verdict = "better" if (self.value > 0) == (better == "up") else "worse"
        return replace(self, verdict=verdict)


def difference(edit: str, column: str, first: pd.Series, second: pd.Series, numbers: Bootstrap) -> Difference | None:
    """Second minus first of two methods' values by image; None without an image that both have."""
    one, other = (own.to_numpy() for own in first.align(second, join="inner"))
    if not len(one):
        return None
    gained = other - one
    low, high = drawn_interval(gained, numbers)
    enough = len(gained) >= numbers.smallest_marked
    first_mean, second_mean, mean = (float(values.mean()) for values in (one, other, gained))
    return Difference(edit, column, first_mean, second_mean, mean, low, high, len(gained), enough=enough)


class Pairs:
    """The values of a run by image, and the difference of any two methods, each made when it is first asked for.

    Args:
        frame: A run's results, `Results.frame`.
        rules: Protocol by name.
    """

    def __init__(self, frame: pd.DataFrame, rules: Mapping[str, ProtocolFile]) -> None:
        self.rules = rules
        counted = as_counted(frame[frame.protocol.isin(list(rules))], rules)
        blocks = counted.set_index("image").sort_index().groupby(["pass", "protocol", "method"])[metrics_of(frame)]
        self._values = {(*block, metric): own[metric].dropna() for block, own in blocks for metric in own}
        self._found: dict[tuple[str, str, str, str], Difference | None] = {}

    @classmethod
    def of_run(cls, results: Results) -> Pairs:
        """Those of a run. Raises MissingError where a protocol is no longer the one of the rows."""
        return cls(results.frame, {name: rules_of(results, name) for name in results.manifest["protocols"]})

    def values(self, edit: str, column: str, method: str) -> pd.Series:
        """Values by image in a column (`metric@protocol`) of a pass, a failed one as its mean counts it."""
        metric, _, protocol = column.partition("@")
        return self._values.get((edit, protocol, method, metric), _NOTHING)

    def difference(self, edit: str, column: str, first: str, second: str) -> Difference | None:
        """Second minus first, without a verdict; None where the column has no values of both by image."""
        key = edit, column, first, second
        if key not in self._found:
            ours, theirs = (self.values(edit, column, method) for method in (first, second))
            protocol = self.rules.get(column.partition("@")[2])
            self._found[key] = difference(edit, column, ours, theirs, protocol.numbers) if protocol else None
        return self._found[key]

    def all_differences(self, first: str, second: str, better: Better) -> Iterator[Difference]:
        """Every column that both methods have, with its verdict, by pass and protocol.

        Args:
            better: `metric@protocol` -> which way is better.
        """
        for edit, protocol, method, metric in self._values:
            column = f"{metric}@{protocol}"
            if method == first and (found := self.difference(edit, column, first, second)) is not None:
                yield found.judged(better(column))


def as_counted(frame: pd.DataFrame, rules: Mapping[str, ProtocolFile]) -> pd.DataFrame:
    """The frame with a 0 for each failure that its mean counts as one."""
    found = frame.copy()
    for name, protocol in rules.items():
        zeros = [column.metric for column in protocol.columns if effective_rule(column, protocol) == "zero"]
        for metric in (metric for metric in zeros if metric in found):
            failed = (found.status == "failed") | found.failures.map(lambda own, metric=metric: metric in own)
            found.loc[failed & found[metric].isna() & (found.protocol == name), metric] = 0.0
    return found
