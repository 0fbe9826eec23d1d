"""The paper's claims, as far as a run can test them: each a sentence with a verdict that is computed, never typed.

Verdicts come from differences image by image: an image that is hard for one method is hard for the other, so these are
known far better than the intervals of two means suggest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

import pandas as pd

from bench.core.schema import from_table, read_toml
from metrics.intervals import mean_interval
from metrics.protocol import Bootstrap
from reports.inputs import Facts
from reports.naming import RECONSTRUCTION, method_title
from reports.seeds import first_seed, seed_of
from reports.writers.csv import csv_text

Verdict = Literal["holds", "does not hold", "not separable", "too few images"]
_FILE = Path(__file__).parent / "claims.toml"


@dataclass(frozen=True)
class Claim:
    """One entry of `claims.toml`; the file says what its keys mean."""

    sentence: str
    paper: str
    kind: Literal["nearer", "more", "above", "faster"]
    pairs: tuple[tuple[str, ...], ...]
    metrics: tuple[str, ...] = ()
    passes: tuple[str, ...] = ()
    than: tuple[str, ...] = ()
    bound: float = 0.0
    tried: str = ""


@dataclass(frozen=True)
class Finding:
    """What a run says of a claim for two methods and one metric.

    Attributes:
        sentence: The claim about these methods.
        paper: Where the paper has it.
        verdict: By the interval: all of it on the claim's side, all on the other, or neither; none from fewer images
            than the protocol's `smallest_marked`.
        measure: What was compared, and over which passes.
        value, low, high: Mean difference, signed so that above 0 (or `bound`) speaks for the claim; its 95 % interval.
        n: Images in it; 0 for runtimes.
        seeds: How many trained networks of the methods were compared, and how many of those say the same alone.
        agree: See `seeds`.
        tried: What was done about it, where it does not hold.
    """

    sentence: str
    paper: str
    verdict: Verdict
    measure: str
    value: float
    low: float | None
    high: float | None
    n: int
    seeds: int = 1
    agree: int = 1
    tried: str = ""


@cache
def all_claims() -> tuple[Claim, ...]:
    """The entries of `claims.toml`."""
    entries = read_toml(_FILE)["claim"]
    return tuple(from_table(Claim, entry, f"claim {at} of {_FILE.name}") for at, entry in enumerate(entries, 1))


@dataclass(frozen=True)
class _Numbers:
    """Results of one protocol, and how its intervals are drawn."""

    frame: pd.DataFrame
    numbers: Bootstrap
    facts: Facts
    protocol: str
    seconds: Mapping[str, float] = field(default_factory=dict)

    def seeds(self, name: str) -> list[str]:
        """The method and its further seeds, as far as they are here."""
        return [own for own in sorted(self.frame.method.unique()) if first_seed(own) == name]

    def values(self, method: str, metric: str, passes: Sequence[str]) -> pd.DataFrame:
        """A method's values of a metric: images x passes, NaN where there is none."""
        own = self.frame[self.frame.method == method].pivot(index="image", columns="pass", values=metric)
        return own.reindex(columns=list(passes))


def findings(
    frame: pd.DataFrame, facts: Facts, protocol: str, numbers: Bootstrap, seconds: Mapping[str, float] | None = None
) -> list[Finding]:
    """What the results of one protocol say of every claim whose methods are among them.

    Args:
        frame: Results of that protocol, see `bench.results.frame.frame_of`.
        numbers: How the protocol draws intervals.
        seconds: Method -> runtime; without it the claims about time are left out.
    """
    known = _Numbers(frame, numbers, facts, protocol, seconds or {})
    return [finding for claim in all_claims() for pair in claim.pairs for finding in _tested(claim, pair, known)]


def _tested(claim: Claim, pair: Sequence[str], known: _Numbers) -> Iterator[Finding]:
    first, second = pair
    if claim.kind == "faster":
        yield from _runtime(claim, first, second, known)
        return
    for metric in (metric for metric in claim.metrics if metric in known.frame):
        if claim.kind != "above" and known.facts.metric(metric, known.protocol).better == "none":
            continue  # nobody can say which of two is nearer
        ones, others = known.seeds(first) if first else [""], known.seeds(second)
        gained = [_gains(claim, metric, one, other, known) for one, other in _compared(ones, others)]
        apart = [gains for gains in gained if len(gains)]
        if apart:
            yield _finding(claim, metric, (first, second), apart, known)


def _compared(ones: Sequence[str], others: Sequence[str]) -> list[tuple[str, str]]:
    """Networks of one seed with each other; where one side has a single network, that with all of the other's."""
    both = [(one, other) for one in ones for other in others]
    if min(len(ones), len(others)) < 2:
        return both
    return [(one, other) for one, other in both if seed_of(one) == seed_of(other)]


def _gains(claim: Claim, metric: str, one: str, other: str, known: _Numbers) -> pd.Series:
    """By image how much it speaks for the claim: means over the passes that have the metric on both sides."""
    sign = -1.0 if known.facts.metric(metric, known.protocol).better == "down" else 1.0

    def gain(passes: Sequence[str]) -> pd.Series:
        before = known.values(one, metric, passes) if one else 0.0
        return (known.values(other, metric, passes) - before).mean(axis=1)

    gained = gain(claim.passes) - gain(claim.than) if claim.than else gain(claim.passes)
    return sign * gained.dropna()


def _finding(claim: Claim, metric: str, pair: tuple[str, str], apart: Sequence[pd.Series], known: _Numbers) -> Finding:
    together = pd.concat(apart, axis=1, join="inner").mean(axis=1) - claim.bound
    low, high = mean_interval(together.tolist(), known.numbers)
    value = float(together.mean()) if len(together) else 0.0
    alone = [float(gains.mean()) - claim.bound for gains in apart]
    verdict: Verdict = "not separable"
    if len(together) < known.numbers.smallest_marked:
        verdict = "too few images"
    elif low is not None and high is not None and (low > 0 or high < 0):
        verdict = "holds" if low > 0 else "does not hold"
    item = known.facts.metric(metric, known.protocol)
    over = "reconstruction" if claim.passes == (RECONSTRUCTION,) else " ".join(claim.passes).replace("-", "−")
    beyond = f", less {' '.join(claim.than)}".replace("-", "−") if claim.than else ""
    return Finding(
        _said(claim, pair, known.facts, item.label),
        claim.paper,
        verdict,
        f"{item.label}, {over}{beyond}" + (f", less {claim.bound:g}" if claim.bound else ""),
        value,
        low,
        high,
        len(together),
        len(apart),
        sum((one > 0) == (value > 0) for one in alone),
        claim.tried if verdict in ("does not hold", "not separable") else "",
    )


def _runtime(claim: Claim, first: str, second: str, known: _Numbers) -> Iterator[Finding]:
    """Runtimes are medians of one machine: they are compared as they are, equal where within 2 %."""
    if first in known.seconds and second in known.seconds:
        gained = known.seconds[second] / known.seconds[first] - 1
        verdict: Verdict = "not separable" if abs(gained) < 0.02 else "holds" if gained > 0 else "does not hold"
        said = _said(claim, (first, second), known.facts)
        yield Finding(
            said,
            claim.paper,
            verdict,
            "runtime: the second's over the first's, less 1",
            gained,
            None,
            None,
            0,
            tried=claim.tried if verdict != "holds" else "",
        )


def _said(claim: Claim, pair: tuple[str, str], facts: Facts, metric: str = "") -> str:
    first, second = (method_title(name, facts.titles) if name else "" for name in pair)
    return claim.sentence.format(first=first, second=second, metric=metric)


def claims_csv(found: Sequence[Finding]) -> str:
    """The findings for machines."""
    columns = ["sentence", "paper", "verdict", "measure", "value", "low", "high", "n", "seeds", "agree"]
    return csv_text(pd.DataFrame(found)[columns].rename(columns={"sentence": "claim"}))
