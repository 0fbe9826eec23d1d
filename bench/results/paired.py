"""Two methods of a run on the same images: means of the differences, image by image.

What makes an image hard is hard for both methods, so the difference of two methods is known far better than the
intervals of their means suggest: those may overlap while nearly every image says the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from bench.results.store import Row
from metrics.intervals import mean_interval
from metrics.protocol import Bootstrap

Verdict = Literal["better", "worse", "same", ""]


@dataclass(frozen=True)
class Difference:
    """Second method minus first in one column of one pass.

    Attributes:
        edit: The pass ("pose+").
        column: `metric@protocol`.
        first, second: Means over the images that have both values.
        value, low, high: Mean difference and its 95 % interval; None where there are fewer than two images.
        n: Images that have both.
        verdict: Of the second method where the interval leaves out 0, else "same"; "" where neither way is better.
    """

    edit: str
    column: str
    first: float
    second: float
    value: float
    low: float | None
    high: float | None
    n: int
    verdict: Verdict

    @property
    def differs(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def differences(
    rows: Sequence[Row],
    first: str,
    second: str,
    numbers: Callable[[str], Bootstrap],
    better: Callable[[str], Literal["up", "down", "none"]],
) -> Iterator[Difference]:
    """Every column with one value an image that both methods have, in the order of the rows' passes.

    Args:
        rows: Of a run.
        first, second: Method names.
        numbers: Protocol name -> how it resamples.
        better: Metric -> which way is better.
    """
    blocks: dict[tuple[str, str], dict[str, dict[str, Row]]] = {}
    for row in rows:
        if row.method in (first, second):
            blocks.setdefault((row.pass_name, row.protocol), {}).setdefault(row.method, {})[row.image] = row
    for (edit, protocol), found in blocks.items():
        ours, theirs = found.get(first, {}), found.get(second, {})
        pairs = [(ours[name].values, theirs[name].values) for name in sorted(ours.keys() & theirs.keys())]
        for metric in dict.fromkeys(metric for one, _ in pairs for metric in one):
            both = [(one[metric], other[metric]) for one, other in pairs if metric in one and metric in other]
            if both:
                yield _difference(edit, f"{metric}@{protocol}", np.array(both), numbers(protocol), better(metric))


def _difference(edit: str, column: str, both: np.ndarray, numbers: Bootstrap, better: str) -> Difference:
    """Of values (n, 2)."""
    gained = both[:, 1] - both[:, 0]
    low, high = mean_interval(gained.tolist(), numbers)
    first, second = (float(mean) for mean in both.mean(0))
    found = Difference(edit, column, first, second, float(gained.mean()), low, high, len(both), "")
    if better == "none":
        return found
    return replace(
        found, verdict=("better" if (found.value > 0) == (better == "up") else "worse") if found.differs else "same"
    )
