"""Who can be told from whom in a column: one rule for marks, for the sentences above tables and for differences.

Two methods are apart where the 95 % interval of their difference image by image leaves out 0; for a distance between
sets, which has no value an image, where their intervals do not overlap. Below the protocol's smallest number of images
nobody is apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports.inputs import Facts
from reports.table import Column, Entry

if TYPE_CHECKING:
    from bench.results.paired import Difference, Pairs


@dataclass(frozen=True)
class Standing:
    """The rule, over a run.

    Attributes:
        facts: Where the protocol's smallest number of images stands.
        pairs: The run's differences; without them (numbers from elsewhere) intervals decide everywhere.
    """

    facts: Facts
    pairs: Pairs | None = None

    def difference(self, column: Column, one: str, other: str) -> Difference | None:
        """The other method minus the one, image by image; None for distances between sets."""
        if self.pairs is None:
            return None
        name = f"{column.metric.name}@{column.protocol}"
        return self.pairs.difference(column.pass_name.name, name, one, other)

    def apart(self, column: Column, one: tuple[str, Entry], other: tuple[str, Entry]) -> bool:
        """Whether two methods, each with its cell, can be told apart in a column."""
        (name, own), (rival, theirs) = one, other
        if own.value is None or theirs.value is None:
            return False
        if min(own.n, theirs.n) < self.facts.smallest_marked(column.protocol):
            return False
        if (found := self.difference(column, name, rival)) is not None:
            return found.differs
        return intervals_apart(own, theirs)

    def ahead(self, column: Column, one: tuple[str, Entry], other: tuple[str, Entry]) -> bool:
        """Whether the one can be told from the other and is better, over the images that both have where there are any:
        a method that failed on hard images has the better mean without being better."""
        if not self.apart(column, one, other):
            return False
        if (found := self.difference(column, other[0], one[0])) is not None:
            return found.judged(column.metric.better).verdict == "better"
        return ranking(dict((one, other)), column)[:1] == [one[0]]

    def leaders(self, column: Column, entries: Mapping[str, Entry]) -> list[str]:
        """Who has the best number, unless another is ahead of it, and who cannot be told from it, the best first."""
        cells = [(name, entries[name]) for name in ranking(entries, column)]
        found = [cell for cell in cells if not self.ahead(column, cells[0], cell)]
        beaten = any(self.ahead(column, cell, cells[0]) for cell in found)
        return [name for name, _ in (found[1:] if beaten else found)]


def ranking(entries: Mapping[str, Entry], column: Column) -> list[str]:
    """The names that have a number, the best first; none where neither way is better, or the run is unfinished."""
    if column.metric.better == "none" or any(entry.part for entry in entries.values()):
        return []
    sign = 1.0 if column.metric.better == "down" else -1.0
    return [name for _, name in sorted((sign * e.value, name) for name, e in entries.items() if e.value is not None)]


def intervals_apart(one: Entry, other: Entry) -> bool:
    """Whether both have an interval and the two do not overlap."""
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return False
    return one.high < other.low or other.high < one.low


def rule_text(smallest: int) -> str:
    """The rule in a sentence, for the legends of tables."""
    return (
        "marked only where told from every other method: the 95 % interval of their difference image by image "
        f"leaves out 0 (distances between sets: intervals that do not overlap), from {smallest} images on"
    )


def difference_text(smallest: int) -> str:
    """What a marked difference is, for the legends of tables of differences."""
    return f"the 95 % interval of the difference leaves out 0, over {smallest} images or more"
