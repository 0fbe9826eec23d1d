"""Adam as it is fastest on a device, and with TensorFlow's place of epsilon ("styleres_training" card 1)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor


def fastest(device: torch.device) -> dict[str, Any]:
    """How PyTorch's Adam and AdamW compute fastest on a device: in one kernel on CUDA, else in lists of tensors.

    Fused steps read gradients in memory order: bring them into their parameters' first (`frozen.copies.match_layout`).
    """
    return {"fused": True} if device.type == "cuda" else {"foreach": True}


class TensorFlowAdam(torch.optim.Optimizer):
    """Adam whose epsilon is added to the root of the uncorrected second moment.

    step = lr sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + eps). `torch.optim.Adam` adds epsilon after the correction;
    in the first steps this one weighs up to ten times more, which gradients of 1e-5 and below show.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-8,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step on the gradients that are there."""
        for group in self.param_groups:
            # The same number of steps for all of a group's parameters, but for those that came without a gradient.
            by_age: dict[int, list[tuple[Tensor, Tensor, Tensor, Tensor]]] = {}
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["step"] = 0
                    state["mean"] = torch.zeros_like(parameter)
                    state["square"] = torch.zeros_like(parameter)
                state["step"] += 1
                row = (parameter, parameter.grad, state["mean"], state["square"])
                by_age.setdefault(state["step"], []).append(row)
            for age, rows in by_age.items():
                _step(rows, age, group)


def _step(rows: list[tuple[Tensor, Tensor, Tensor, Tensor]], age: int, group: dict[str, Any]) -> None:
    parameters, gradients, means, squares = (list(column) for column in zip(*rows, strict=True))
    first, second = group["betas"]
    torch._foreach_lerp_(means, gradients, 1 - first)
    torch._foreach_mul_(squares, second)
    torch._foreach_addcmul_(squares, gradients, gradients, 1 - second)
    roots = torch._foreach_sqrt(squares)
    torch._foreach_add_(roots, group["eps"])
    rate = group["lr"] * math.sqrt(1 - second**age) / (1 - first**age)
    torch._foreach_addcdiv_(parameters, means, roots, -rate)
