"""Do the paper's proxies tell the truth? Methods ranked by them, and by their distance to the true edit that was
asked for.

Where the true edit is known, a proxy (Fréchet distance, identity to the input) can be checked: does it put the
methods in the order in which their images are near to what was asked? The rank correlation is resampled over
people, all methods with the same people, so its interval says how far the order itself is settled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from metrics.columns import Undefined
from metrics.frechet import frechet_estimate
from metrics.protocol import Bootstrap
from reports.inputs import Facts, Pass
from reports.naming import RECONSTRUCTION, is_reference, split_pass
from reports.seeds import seed_of
from reports.writers.csv import csv_text

# A rank correlation of fewer methods can only be -1, 0 or 1, near enough.
FEWEST = 4
# A correlation whose square is one half.
_HALF = 0.5**0.5
_TRUTHS = ("asked_lpips", "asked_id")
_PAIRS = ("id", "id_mtcnn")
_SETS = ("fd", "fid")


@dataclass(frozen=True)
class Agreement:
    """One proxy against one distance to the truth, over the methods of a run.

    Attributes:
        edit: The pass, as readers see it ("Pose +").
        proxy, truth: Labels of the two columns.
        methods, people: How many were ranked, and over how many people.
        value, low, high: Spearman's rank correlation, 1 where the proxy has the methods in the order of the truth, -1
            where it has them the other way round; 95 % interval over people.
    """

    edit: str
    proxy: str
    truth: str
    methods: int
    people: int
    value: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """What the interval carries: the order is told where at least half of the ranks' variance is surely shared."""
        if self.low > 0:
            return "tells the order" if self.low >= _HALF else "tells part of the order"
        return "tells the opposite" if self.high < 0 else "does not tell"


class Features(Protocol):
    """Where set metrics find what they compare, float32 (images, D); both raise LookupError where there is none."""

    def of(self, frame: pd.DataFrame, metric: str) -> np.ndarray:
        """Those of lines of the frame."""
        ...

    def references(self, edit: Pass, metric: str) -> np.ndarray:
        """Those of the real images that a pass is compared with."""
        ...


def agreements(
    frame: pd.DataFrame,
    passes: Sequence[Pass],
    facts: Facts,
    protocol: str,
    numbers: Bootstrap,
    features: Features,
) -> list[Agreement]:
    """Every proxy of every edit of one protocol, where at least `FEWEST` methods have it and a truth is known.

    Args:
        frame: Results of that protocol, see `bench.results.frame.frame_of`.
    """
    # Further seeds of a method are the same method again, and would count its rank several times.
    voting = [name for name in frame.method.unique() if not (is_reference(name, facts.references) or seed_of(name))]
    found = []
    for edit in passes:
        own = frame[frame.method.isin(voting) & (frame["pass"] == edit.pass_name)]
        if edit.pass_name != RECONSTRUCTION and own.method.nunique() >= FEWEST:
            found += _of_pass(own, edit, facts, protocol, numbers, features)
    return found


def _of_pass(
    own: pd.DataFrame,
    edit: Pass,
    facts: Facts,
    protocol: str,
    numbers: Bootstrap,
    features: Features,
) -> list[Agreement]:
    methods = own.method.nunique()
    # One face that was not found costs that person, and no proxy its place.
    known = [name for name in (*_TRUTHS, *_PAIRS) if name in own and own.groupby("method")[name].count().all()]
    counts = own.dropna(subset=known).image.value_counts()
    people = sorted(counts.index[counts == methods])
    if not people:
        return []
    own = own[own.image.isin(people)].sort_values(["method", "image"])
    draws = np.random.default_rng(numbers.seed).integers(0, len(people), (numbers.resamples, len(people)))
    truths = {metric: _means(own, metric, draws) for metric in _TRUTHS}
    proxies = {metric: _means(own, metric, draws) for metric in _PAIRS}
    proxies |= {metric: _sets(own, metric, draws, edit, features, numbers.seed) for metric in _SETS}
    found = []
    for proxy, ranked in proxies.items():
        for truth, true in truths.items():
            if ranked is None or true is None:
                continue
            ways = [facts.metric(name, protocol).better for name in (proxy, truth)]
            if "none" in ways:
                continue
            sign = -1.0 if ways[0] != ways[1] else 1.0
            correlations = sign * _spearman(ranked, true)
            low, high = np.quantile(correlations[1:], [(1 - numbers.confidence) / 2, (1 + numbers.confidence) / 2])
            found.append(
                Agreement(
                    split_pass(edit.pass_name).title,
                    facts.metric(proxy, protocol).label,
                    facts.metric(truth, protocol).label,
                    methods=methods,
                    people=len(people),
                    value=float(correlations[0]),
                    low=float(low),
                    high=float(high),
                )
            )
    return found


def _means(own: pd.DataFrame, metric: str, draws: np.ndarray) -> np.ndarray | None:
    """(1 + resamples, methods): means over all people, then each draw of them; None where a method has no values."""
    if metric not in own or own[metric].isna().any():
        return None
    values = own.pivot(index="method", columns="image", values=metric).to_numpy()
    return np.concatenate([values.mean(1)[None], values[:, draws].mean(2).T])


def _sets(
    own: pd.DataFrame,
    metric: str,
    draws: np.ndarray,
    edit: Pass,
    features: Features,
    seed: int,
) -> np.ndarray | None:
    """As `_means`, for a Fréchet distance: resampled to first order, by each image's influence on it."""
    try:
        real = features.references(edit, metric)
        estimates = [frechet_estimate(features.of(each, metric), real) for _, each in own.groupby("method")]
    except (Undefined, LookupError):
        return None
    paired = len(real) == own.image.nunique() and edit.inputs == edit.reals
    others = draws if paired else np.random.default_rng(seed + 1).integers(0, len(real), (len(draws), len(real)))
    columns = [
        each.value + each.influences.generated[draws].mean(1) + each.influences.reference[others].mean(1)
        for each in estimates
    ]
    return np.concatenate([[[each.value for each in estimates]], np.stack(columns, 1)])


def _spearman(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Rank correlation of each row of two (n, methods) arrays; 0 where all are equal."""
    from scipy.stats import rankdata

    first, second = (rankdata(each, axis=1) - (each.shape[1] + 1) / 2 for each in (one, other))
    length = np.sqrt((first**2).sum(1) * (second**2).sum(1))
    return np.divide((first * second).sum(1), length, out=np.zeros(len(one)), where=length > 0)


def agreements_csv(found: Sequence[Agreement]) -> str:
    """The correlations for machines."""
    columns = ["edit", "proxy", "truth", "methods", "people", "value", "low", "high", "verdict"]
    table = pd.DataFrame([asdict(item) | {"verdict": item.verdict} for item in found], columns=columns)
    return csv_text(table.rename(columns={"value": "rank correlation"}))
