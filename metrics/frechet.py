"""Fréchet distance between two sets of features, exactly, and what each image contributes to it.

    FD = |m1 - m2|^2 + Tr(C1 + C2 - 2 (C1 C2)^(1/2))

With A and B the centred features over sqrt(n - 1), the trace of the root is the sum of the singular values of A B^T.
That needs no matrix square root, is exact when covariances are singular (n < 2,048 features: always), and is fast: A
B^T has as many rows and columns as there are images. Source: protocol card 3.1, numerics.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.linalg import qr, svd

from bench.core.errors import UsageError

from .columns import Estimate, Influences, Resources, Undefined, kind


def frechet_distance(features: np.ndarray, reference: np.ndarray) -> float:
    """Fréchet distance of Gaussians fitted to features (n, D) and (m, D), any float dtype; in float64, >= 0."""
    return frechet_estimate(features, reference).value


def frechet_estimate(features: np.ndarray, reference: np.ndarray) -> Estimate:
    """The distance and its influence values, from one singular value decomposition of A B^T = U S V^T.

    Moving weight to image i of A changes the root's trace by (U S U^T)_ii to first order (the derivative of the
    nuclear norm), so the spread of FD over resampled images costs nothing beyond the decomposition.

    Raises:
        Undefined: Fewer than two images on a side.
    """
    if min(len(features), len(reference)) < 2:
        raise Undefined("a Fréchet distance needs two images on each side")
    left, right = _Side(features), _Side(reference)
    u, s, vt = svd(left.reduced @ right.reduced.T, full_matrices=False, check_finite=True)
    shift = left.mean - right.mean
    value = shift @ shift + left.trace + right.trace - 2 * s.sum()
    influences = Influences(left.influence(shift, u, s), right.influence(-shift, vt.T, s))
    return Estimate(max(float(value), 0.0), influences)


class _Side:
    """One set, centred and scaled: rows over sqrt(n - 1), reduced to min(n, D) rows where that saves work."""

    def __init__(self, features: np.ndarray) -> None:
        x = np.asarray(features, dtype=np.float64)
        self.count, width = x.shape
        self.mean = x.mean(axis=0)
        self.centred = x - self.mean
        scaled = self.centred / np.sqrt(self.count - 1)
        self.trace = float((scaled**2).sum())
        self._basis: np.ndarray | None = None
        self.reduced = scaled
        if self.count > width:
            self._basis, self.reduced = qr(scaled, mode="economic")

    def influence(self, shift: np.ndarray, vectors: np.ndarray, s: np.ndarray) -> np.ndarray:
        """(n,) influence of each image, mean zero; `shift` is this side's mean minus the other's."""
        rows = vectors if self._basis is None else self._basis @ vectors
        root = (rows**2) @ s
        spread = (self.centred**2).sum(axis=1) / (self.count - 1)
        return 2 * self.centred @ shift + self.count * (spread - root) - (self.trace - s.sum())


@kind("frechet")
@dataclass(frozen=True)
class Frechet:
    """Fréchet distance column (FID, or FD on other features).

    Attributes:
        extractor: Whose features: "inception-imagenet" (torchvision's ImageNet weights), "inception-fid" (the
            TensorFlow-ported weights of every FID package) or "world" (the synthetic world's network).
        recipe: How images are resized and scaled for it. ImageNet weights go with "stargan2"; the FID weights with
            "torch_fidelity" (TensorFlow's resize), "pytorch_fid" or "clean_fid"; the world's take none.
    """

    extractor: Literal["inception-imagenet", "inception-fid", "world"]
    recipe: Literal["stargan2", "torch_fidelity", "pytorch_fid", "clean_fid", "none"] = "none"

    def __post_init__(self) -> None:
        if self.recipe not in _RECIPES[self.extractor]:
            fitting = " or ".join(_RECIPES[self.extractor])
            raise UsageError(f"the recipe {self.recipe!r} does not go with {self.extractor!r}", f"use {fitting}")

    def needs(self) -> tuple[str, ...]:
        """The feature network."""
        return (self.extractor,)

    def shares(self) -> None:
        """None: its features are its own."""
        return

    def prepare(self, resources: Resources) -> Hashable:
        """The key of its features, (D,) an image."""
        from .extractors import feature_extractor

        return resources.features(self, lambda: feature_extractor(self.extractor, self.recipe, resources))

    def measure(self, features: np.ndarray, reference: np.ndarray) -> Estimate:
        """The distance of (n, D) to (m, D) features. Raises Undefined below two images on a side."""
        return frechet_estimate(features, reference)


_RECIPES = {
    "inception-imagenet": ("stargan2",),
    "inception-fid": ("torch_fidelity", "pytorch_fid", "clean_fid"),
    "world": ("none",),
}
