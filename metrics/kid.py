"""Kernel distance (KID) between two sets of features: torch-fidelity's kernel and estimator, on one kernel matrix.

The value is torch-fidelity's: the mean over random subsets of the unbiased MMD^2 with the cubic kernel (x.y / D +
1)^3, drawn in its order from its generator. It differs in one thing only: the kernel is computed once for all images
and subsets are rows and columns of it, which is exact and saves most of the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np

from bench.core.schema import Bounds

from .columns import Estimate, Influences, Resources, Undefined, kind


class Kernels(NamedTuple):
    """Kernels of all images, float64: among the features (n, n), between the sets (n, m), in the reference (m, m)."""

    xx: np.ndarray
    xy: np.ndarray
    yy: np.ndarray


def kid(
    features: np.ndarray, reference: np.ndarray, *, subsets: int = 100, subset_size: int = 1000, seed: int = 2020
) -> Estimate:
    """KID between (n, D) and (m, D) features, in float64; may be slightly negative.

    The subset size is min(subset_size, n, m): it follows N. `subsets` 0 takes all images at once instead. Influence
    values are those of the unbiased MMD^2 over all images, the expectation of the subset average.

    Raises:
        Undefined: Fewer than two images on a side.
    """
    if min(len(features), len(reference)) < 2:
        raise Undefined("a kernel distance needs two images on each side")
    kernels = kernel_matrices(features, reference)
    values = over_subsets(kernels, subsets, subset_size, seed) if subsets else [mmd2_of_all(kernels)]
    value = float(np.mean(values))
    return Estimate(
        value,
        Influences(_influence(kernels.xx, kernels.xy), _influence(kernels.yy, kernels.xy.T)),
        floor=None,
    )


def mmd2_of_all(kernels: Kernels, *, biased: bool = False) -> float:
    """MMD^2 from the kernels of all images; sets of different size are fine."""

    def inside(own: np.ndarray) -> float:
        if biased:
            return float(own.mean())
        return float((own.sum() - np.trace(own)) / (len(own) * (len(own) - 1)))

    return inside(kernels.xx) + inside(kernels.yy) - 2 * float(kernels.xy.mean())


def over_subsets(kernels: Kernels, subsets: int, subset_size: int, seed: int) -> list[float]:
    """MMD^2 of each of the random subsets, whose mean is the KID."""
    from torch_fidelity.metric_kid import mmd2

    xx, xy, yy = kernels
    size = min(subset_size, *xy.shape)
    rng = np.random.RandomState(seed)
    values = []
    for _ in range(subsets):
        rows = rng.choice(len(xx), size, replace=False)
        columns = rng.choice(len(yy), size, replace=False)
        values.append(mmd2(xx[np.ix_(rows, rows)], xy[np.ix_(rows, columns)], yy[np.ix_(columns, columns)]))
    return values


def kernel_matrices(features: np.ndarray, reference: np.ndarray) -> Kernels:
    """The cubic kernels of (n, D) and (m, D) features, by torch-fidelity."""
    from torch_fidelity.metric_kid import kernel_poly

    x, y = np.asarray(features, np.float64), np.asarray(reference, np.float64)
    options: dict[str, Any] = {"kid_kernel_poly_degree": 3, "kid_kernel_poly_gamma": None, "kid_kernel_poly_coef0": 1.0}
    return Kernels(*(kernel_poly(one, other, **options) for one, other in ((x, x), (x, y), (y, y))))


def _influence(own: np.ndarray, cross: np.ndarray) -> np.ndarray:
    """(n,) influence of each image of one side on MMD^2: 2 (mean kernel to its own - to the others), centred."""
    count = len(own)
    inside = (own.sum(axis=1) - np.diagonal(own)) / (count - 1)
    values = 2 * (inside - cross.mean(axis=1))
    return values - values.mean()


@kind("kid")
@dataclass(frozen=True)
class Kid:
    """Kernel distance column on another column's features.

    Attributes:
        features: Metric of the Fréchet column whose features are used.
        kernel: "cubic", (x.y / D + 1)^3.
        subsets: Number of random subsets; 0 for all images at once.
        subset_size: min(this, N) images each.
        seed: Of the subsets.
    """

    features: str
    kernel: Literal["cubic"] = "cubic"
    subsets: Annotated[int, Bounds(0, 10**5)] = 100
    subset_size: Annotated[int, Bounds(2)] = 1000
    seed: Annotated[int, Bounds(0, 2**32 - 1)] = 2020

    def needs(self) -> tuple[str, ...]:
        """Nothing of its own: features are shared."""
        return ()

    def shares(self) -> str:
        """The Fréchet column whose features are used."""
        return self.features

    def prepare(self, resources: Resources) -> None:
        """Nothing of its own: the features are the other column's."""

    def measure(self, features: np.ndarray, reference: np.ndarray) -> Estimate:
        """The distance of (n, D) to (m, D) features. Raises Undefined below two images on a side."""
        return kid(features, reference, subsets=self.subsets, subset_size=self.subset_size, seed=self.seed)
