"""Directions in any generator: linear boundaries from labelled samples (InterFaceGAN) and PCA of W (GANSpace).

Pure functions of tensors; who samples codes and who labels images is the caller's business. Everything runs in
float64 and is deterministic, so the same samples give the same direction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from bench.core.checkpoint import save_tensors
from bench.core.errors import UsageError


@dataclass(frozen=True)
class Boundary:
    """A linear model of an attribute.

    Attributes:
        normal: float32 (D,), unit length; along it the attribute grows.
        intercept: Where the boundary (classes) or the zero of the attribute (regression) lies along the normal.
        score: Accuracy (boundary) or R^2 (regression) on held-out samples, the last fifth of a seeded shuffle.
        train_score: The same on the samples it was fitted to.
        samples: How many samples were used, held-out ones included.
    """

    normal: Tensor
    intercept: float
    score: float
    train_score: float
    samples: int


@dataclass(frozen=True)
class Components:
    """PCA of codes, in GANSpace's own layout.

    Attributes:
        mean: float32 (1, D).
        comp: float32 (K, 1, D), orthonormal rows, largest variance first; each row's largest entry is positive.
        std: float32 (K,), standard deviation of the samples along each.
    """

    mean: Tensor
    comp: Tensor
    std: Tensor


def fit_boundary(codes: Tensor, labels: Tensor, *, penalty: float = 1e-3, seed: int = 0) -> Boundary:
    """The hyperplane between two classes of codes, by logistic regression with an L2 penalty (InterFaceGAN's idea).

    Args:
        codes: (N, D).
        labels: (N,), -1 and 1 (or 0 and 1); both must occur among the samples fitted.
        penalty: Weight of the squared norm of the standardised coefficients, per sample.
        seed: Of the shuffle that holds out a fifth.

    Raises UsageError: shapes that do not fit, values that are not finite, fewer than 10 samples, a class that is
        absent.
    """
    codes, labels = _checked(codes, labels)
    if not bool(torch.isin(labels, torch.tensor([-1.0, 0.0, 1.0], dtype=labels.dtype)).all()):
        raise UsageError("labels of a boundary are -1 and 1; use fit_regression for numbers")
    signs = torch.where(labels > 0, 1.0, -1.0).to(codes)
    train, held = _halves(len(codes), seed)
    if len(torch.unique(signs[train])) < 2:
        raise UsageError("all labels are the same; a boundary needs both classes")
    mean, scale = codes[train].mean(0), codes[train].std(0).clamp_min(1e-12)
    weights, bias = _logistic((codes[train] - mean) / scale, signs[train], penalty)
    normal, intercept = _unit(weights / scale, bias - (weights / scale) @ mean)
    correct = ((codes @ normal + intercept) * signs > 0).double()
    return Boundary(normal.float(), intercept, _mean(correct[held]), _mean(correct[train]), len(codes))


def fit_regression(codes: Tensor, values: Tensor, *, penalty: float = 1e-3, seed: int = 0) -> Boundary:
    """The direction in which a measured attribute (yaw in degrees, smile, age) grows, by ridge regression.

    Args:
        codes: (N, D).
        values: (N,), any unit.
        penalty: Ridge weight relative to the standardised covariance's diagonal.
        seed: Of the shuffle that holds out a fifth.

    Raises UsageError as `fit_boundary`, and when all values are the same.
    """
    codes, values = _checked(codes, values)
    train, held = _halves(len(codes), seed)
    if float(values[train].std()) == 0.0:
        raise UsageError("all values are the same; there is nothing to fit")
    mean, scale = codes[train].mean(0), codes[train].std(0).clamp_min(1e-12)
    inputs, centre = (codes[train] - mean) / scale, values[train].mean()
    gram = inputs.T @ inputs / len(train) + penalty * torch.eye(codes.shape[1], dtype=codes.dtype)
    weights = torch.linalg.solve(gram, inputs.T @ (values[train] - centre) / len(train)) / scale
    residual = values - (centre + (codes - mean) @ weights)
    normal, intercept = _unit(weights, centre - weights @ mean)
    score, train_score = _r_squared(residual[held], values[held]), _r_squared(residual[train], values[train])
    return Boundary(normal.float(), intercept, score, train_score, len(codes))


def fit_pca(codes: Tensor, count: int = 80) -> Components:
    """Principal components of codes (GANSpace): mean, `count` unit components and their standard deviations.

    Args:
        codes: (N, D), N > 1; samples of W.
        count: K, at most min(N - 1, D).
    """
    codes, _ = _checked(codes, torch.zeros(len(codes)))
    if not 0 < count <= min(len(codes) - 1, codes.shape[1]):
        raise UsageError(f"{count} components of {len(codes)} codes of width {codes.shape[1]} do not exist")
    mean = codes.mean(0)
    _, values, vectors = torch.linalg.svd(codes - mean, full_matrices=False)
    vectors = vectors[:count]
    # The sign of a component is free; fix it so that the same samples give the same file everywhere.
    largest = vectors.gather(1, vectors.abs().argmax(1, keepdim=True))
    vectors = vectors * largest.sign()
    std = values[:count] / (len(codes) - 1) ** 0.5
    return Components(mean[None].float(), vectors[:, None].float(), std.float())


def ends(values: Tensor, share: float = 0.3) -> tuple[Tensor, Tensor]:
    """The samples that a boundary is fitted to: (their numbers, signs -1 and 1), from scores (N,).

    Scores that are classes already (-1 or 0, and 1) are taken as they are; of any others the `share` with the lowest
    and the `share` with the highest, since those in the middle tell the two apart badly (InterFaceGAN).
    """
    if bool(torch.isin(values, torch.tensor([-1.0, 0.0, 1.0], dtype=values.dtype)).all()):
        return torch.arange(len(values)), torch.where(values > 0, 1.0, -1.0)
    order, count = values.argsort(stable=True), max(1, int(share * len(values)))
    return torch.cat([order[:count], order[-count:]]), torch.cat([-torch.ones(count), torch.ones(count)])


def save_directions(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, str]) -> None:
    """Write directions as safetensors, with facts about how they were found in its metadata.

    Raises MissingError where the file cannot be written.
    """
    save_tensors(path, tensors, facts)


def _logistic(inputs: Tensor, signs: Tensor, penalty: float) -> tuple[Tensor, Tensor]:
    """Penalised logistic regression by Newton's method with step halving (the loss is convex)."""
    design = torch.cat([inputs, torch.ones_like(inputs[:, :1])], dim=1)
    ridge = torch.full((design.shape[1],), 2 * penalty, dtype=inputs.dtype)
    ridge[-1] = 1e-9

    def loss(weights: Tensor) -> Tensor:
        return torch.nn.functional.softplus(-signs * (design @ weights)).mean() + 0.5 * (ridge * weights.square()).sum()

    weights = torch.zeros_like(ridge)
    value = loss(weights)
    for _ in range(50):
        chance = torch.sigmoid(-signs * (design @ weights))
        gradient = -(design.T @ (signs * chance)) / len(design) + ridge * weights
        curvature = (design.T * (chance * (1 - chance))) @ design / len(design) + torch.diag(ridge)
        step = torch.linalg.solve(curvature, gradient)
        size = 1.0
        while float(loss(weights - size * step)) > float(value) and size > 1e-6:
            size /= 2
        weights = weights - size * step
        before, value = value, loss(weights)
        if float(before - value) < 1e-12:
            break
    return weights[:-1], weights[-1]


def _checked(codes: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    if codes.dim() != 2 or targets.shape != codes.shape[:1]:
        raise UsageError(f"codes are (N, D) and labels (N,); got {list(codes.shape)} and {list(targets.shape)}")
    if len(codes) < 10:
        raise UsageError(f"{len(codes)} samples are too few to fit a direction")
    codes, targets = codes.detach().cpu().double(), targets.detach().cpu().double()
    if not bool(torch.isfinite(codes).all() and torch.isfinite(targets).all()):
        raise UsageError("codes or labels hold values that are not finite")
    return codes, targets


def _halves(count: int, seed: int) -> tuple[Tensor, Tensor]:
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    cut = count - count // 5
    return order[:cut], order[cut:]


def _unit(weights: Tensor, bias: Tensor) -> tuple[Tensor, float]:
    norm = weights.norm()
    if float(norm) == 0.0:
        raise UsageError("the codes do not vary with the labels; no direction was found")
    return weights / norm, float(bias / norm)


def _mean(values: Tensor) -> float:
    return float(values.mean())


def _r_squared(residual: Tensor, values: Tensor) -> float:
    spread = (values - values.mean()).square().sum()
    return float(1 - residual.square().sum() / spread) if float(spread) > 0 else 0.0
