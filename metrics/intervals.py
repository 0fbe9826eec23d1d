"""Intervals by resampling images, with scipy's bootstrap (percentile method).

Means: images are drawn with replacement and averaged. Set metrics (FID, KID): drawing images with replacement and
measuring again does not work, because repeated images lower the rank of a covariance that N < 2,048 images cannot
fill and every resample lies above the value it should surround; besides, each FID costs seconds. So the metric is
resampled to first order: every picture's influence on the value comes with the value itself
(`metrics.columns.Estimate`), and the images are drawn from those. The interval says how much the value would move
with other images at the same N; the upward bias of FID at small N is not in it, which is why N stands in every cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from scipy.stats import bootstrap

from .columns import Estimate
from .protocol import Bootstrap

Interval = tuple[float, float] | tuple[None, None]
# Draws of so many images at once; what is larger is drawn anew each time, in pieces.
_MOST_DRAWS = 6_000_000


def mean_interval(values: Sequence[float], numbers: Bootstrap) -> Interval:
    """(low, high) of the mean of one value an image; (None, None) for fewer than two. Independent of their order."""
    if len(values) < 2:
        return None, None
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    return _percentiles((ordered,), numbers)


def drawn_interval(values: np.ndarray, numbers: Bootstrap) -> Interval:
    """(low, high) of the mean of float64 (n,) values, as `mean_interval`; all calls with n values draw the same images.

    For many intervals over the same images: the draws are made once. (None, None) for fewer than two values.
    """
    if len(values) < 2:
        return None, None
    ordered = np.sort(values)
    means = np.concatenate([counts @ ordered for counts in _draws(len(values), numbers)]) / len(values)
    low, high = np.quantile(means, [(1 - numbers.confidence) / 2, (1 + numbers.confidence) / 2])
    return float(low), float(high)


def _draws(n: int, numbers: Bootstrap) -> Iterator[np.ndarray]:
    """How often each of n images is in each resample, float64 (resamples, n), in pieces that fit into memory."""
    if n * numbers.resamples <= _MOST_DRAWS:
        yield _counts(n, numbers.resamples, numbers.seed)
        return
    at_once = max(1, _MOST_DRAWS // n)
    for piece, start in enumerate(range(0, numbers.resamples, at_once)):
        yield _draw(n, min(at_once, numbers.resamples - start), np.random.default_rng([numbers.seed, piece]))


@lru_cache(maxsize=6)
def _counts(n: int, resamples: int, seed: int) -> np.ndarray:
    return _draw(n, resamples, np.random.default_rng(seed))


def _draw(n: int, resamples: int, random: np.random.Generator) -> np.ndarray:
    taken = random.integers(0, n, (resamples, n)) + n * np.arange(resamples)[:, None]
    return np.bincount(taken.ravel(), minlength=n * resamples).reshape(resamples, n).astype(np.float64)


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
