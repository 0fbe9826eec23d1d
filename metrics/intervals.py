"""Intervals by resampling images, with scipy's bootstrap (percentile method).

Means: images are drawn with replacement and averaged. Set metrics (FID, KID): drawing images with replacement and
measuring again does not work, because repeated images lower the rank of a covariance that N < 2,048 images cannot
fill and every resample lies above the value it should surround; besides, each FID costs seconds. So the metric is
resampled to first order: every picture's influence on the value comes with the value itself
(`metrics.columns.Estimate`), and the images are drawn from those. The interval says how much the value would move
with other images at the same N; the upward bias of FID at small N is not in it, which is why N stands in every cell.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import bootstrap

from .columns import Estimate
from .protocol import Bootstrap

Interval = tuple[float, float] | tuple[None, None]


def mean_interval(values: Sequence[float], numbers: Bootstrap) -> Interval:
    """(low, high) of the mean of one value an image; (None, None) for fewer than two. Independent of their order."""
    if len(values) < 2:
        return None, None
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    return _percentiles((ordered,), numbers)


def estimate_interval(estimate: Estimate, numbers: Bootstrap, *, paired: bool = False) -> Interval:
    """(low, high) of a set metric from its influence values.

    `paired`: row i of both sets is the same image (reconstruction), so both are drawn together; else each set is
    drawn on its own. Never below the metric's smallest value.
    """
    generated, reference = estimate.influences
    if paired and len(generated) == len(reference):
        samples: tuple[np.ndarray, ...] = (np.sort(generated + reference),)
    else:
        samples = (np.sort(generated), np.sort(reference))
    low, high = _percentiles(samples, numbers)
    assert low is not None and high is not None
    low, high = estimate.value + low, estimate.value + high
    return (low, high) if estimate.floor is None else (max(low, estimate.floor), max(high, estimate.floor))


def _percentiles(samples: tuple[np.ndarray, ...], numbers: Bootstrap) -> Interval:
    """Percentile interval of the sum of the samples' means."""
    result = bootstrap(
        samples,
        lambda *parts, axis: sum(part.mean(axis=axis) for part in parts),
        n_resamples=numbers.resamples,
        batch=max(1, 4_000_000 // max(len(sample) for sample in samples)),
        vectorized=True,
        confidence_level=numbers.confidence,
        method="percentile",
        rng=np.random.default_rng(numbers.seed),
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)
