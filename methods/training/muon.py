"""Muon: steps of convolutions are made orthogonal, so that no direction of a weight learns faster than another.

Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024): momentum, then five Newton-Schulz
iterations; scaled so that a step is as long as Adam's at the same rate (0.2 RMS a weight). Vectors, and whatever a
group with `adam = True` holds, take Adam's steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic that pulls singular values towards 1
ITERATIONS = 5
SCALE = 0.2


class Muon(torch.optim.Optimizer):
    """Muon for weights of convolutions (4 axes), Adam for the rest.

    Args:
        params: Parameters or groups; a group may say `adam = True`.
        momentum: Of Muon; Nesterov's.
        betas: Of Adam.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.99),
        momentum: float = 0.95,
        eps: float = 1e-8,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "momentum": momentum, "eps": eps, "adam": False}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step on the gradients that are there."""
        for group in self.param_groups:
            moved = [p for p in group["params"] if p.grad is not None]
            matrices = [p for p in moved if p.ndim == 4 and not group["adam"]]
            by_shape: dict[tuple[int, int], list[Tensor]] = {}
            for p in matrices:
                by_shape.setdefault((p.shape[0], p[0].numel()), []).append(p)
            for same in by_shape.values():
                self._orthogonal(same, group)
            self._adam([p for p in moved if p.ndim != 4 or group["adam"]], group)

    def _orthogonal(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        """One step of weights that are matrices (outputs, inputs * k * k) of one size, as one batch."""
        for p in weights:
            if "momentum" not in self.state[p]:
                self.state[p]["momentum"] = torch.zeros_like(p)
        averages = [self.state[p]["momentum"] for p in weights]
        gradients = _gradients(weights)
        torch._foreach_lerp_(averages, gradients, 1 - group["momentum"])
        ahead = torch._foreach_lerp(gradients, averages, group["momentum"])
        step = orthogonalised(torch.stack([g.flatten(1) for g in ahead]))
        length = group["lr"] * SCALE * math.sqrt(max(step.shape[1:]))
        torch._foreach_add_(weights, [s.view_as(p) for s, p in zip(step, weights, strict=True)], alpha=-length)

    def _adam(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        if not parameters:
            return
        for p in parameters:
            if "square" not in self.state[p]:
                zero = torch.zeros_like(p)
                self.state[p].update({"steps": 0, "mean": zero, "square": zero.clone()})
            self.state[p]["steps"] += 1
        first, second = group["betas"]
        means, squares = ([self.state[p][name] for p in parameters] for name in ("mean", "square"))
        gradients = _gradients(parameters)
        torch._foreach_lerp_(means, gradients, 1 - first)
        torch._foreach_mul_(squares, second)
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - second)
        steps = self.state[parameters[0]]["steps"]
        roots = torch._foreach_sqrt(squares)
        torch._foreach_div_(roots, math.sqrt(1 - second**steps))
        torch._foreach_add_(roots, group["eps"])
        torch._foreach_addcdiv_(parameters, means, roots, value=-group["lr"] / (1 - first**steps))


def _gradients(parameters: list[Tensor]) -> list[Tensor]:
    return [p.grad for p in parameters if p.grad is not None]


def orthogonalised(matrices: Tensor) -> Tensor:
    """Matrices (K, m, n) with all singular values near 1 and their singular vectors kept."""
    wide = matrices if matrices.shape[1] <= matrices.shape[2] else matrices.transpose(1, 2)
    x = wide / (wide.flatten(1).norm(dim=1)[:, None, None] + 1e-9)
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        square = x @ x.transpose(1, 2)
        x = a * x + (b * square + c * square @ square) @ x
    return x if matrices.shape[1] <= matrices.shape[2] else x.transpose(1, 2)
