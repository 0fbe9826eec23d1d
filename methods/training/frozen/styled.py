"""A styled convolution with a frozen weight as one step of autograd, with few passes over memory."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional as F

_SLOPE = 0.2


class StyledWeights(NamedTuple):
    """A layer's frozen tensors, gains folded in.

    Attributes:
        weight: (out, in, 3, 3), or (in, out, 3, 3) where it doubles the size.
        blur: (out, 1, 4, 4) where it doubles the size, else None.
        added: Noise and bias (1, out, h, w).
        clamp: Bound of the result; None for none.
    """

    weight: Tensor
    blur: Tensor | None
    added: Tensor
    clamp: float | None

    def convolved(self, x: Tensor) -> Tensor:
        """x (N, in, h, w) through the convolution alone."""
        if self.blur is None:
            return F.conv2d(x, self.weight, padding=1)
        wide = F.conv_transpose2d(x, self.weight, stride=2)
        return F.conv2d(wide, self.blur, padding=1, groups=len(self.blur))

    def returned(self, gradient: Tensor) -> Tensor:
        """The gradient at the convolution's input (N, in, h, w), of that at its output."""
        if self.blur is None:
            return F.conv_transpose2d(gradient, self.weight, padding=1)
        # The blur is symmetric: its transpose is itself.
        wide = F.conv2d(gradient, self.blur, padding=2, groups=len(self.blur))
        return F.conv2d(wide, self.weight, stride=2)


def styled(x: Tensor, scale: Tensor, demodulation: Tensor, weights: StyledWeights) -> Tensor:
    """leaky_relu(convolution(x * scale) * demodulation + added), clamped; differentiable once, in all but the weights.

    Args:
        x: (N, in, h, w).
        scale: (N, in, 1, 1).
        demodulation: (N, out, 1, 1).

    Returns:
        (N, out, h, w) or, with a blur, of twice the size.
    """
    made: Tensor = _Styled.apply(x, scale, demodulation, weights)
    return made


class _Styled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, scale: Tensor, demodulation: Tensor, weights: StyledWeights) -> Tensor:
        _, for_scale, for_demodulation, _ = ctx.needs_input_grad  # type: ignore[attr-defined]
        plain = weights.convolved(x * scale)
        made = torch.addcmul(weights.added, plain, demodulation, out=None if for_demodulation else plain)
        F.leaky_relu(made, _SLOPE, inplace=True)
        if weights.clamp is not None:
            made.clamp_(-weights.clamp, weights.clamp)
        kept = x if for_scale else None, plain if for_demodulation else None
        ctx.save_for_backward(scale, demodulation, made, *kept)  # type: ignore[arg-type]
        ctx.weights = weights  # type: ignore[attr-defined]
        return made

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        scale, demodulation, made, x, plain = ctx.saved_tensors  # type: ignore[attr-defined]
        weights: StyledWeights = ctx.weights  # type: ignore[attr-defined]
        # The sign of what was made is that of what it was made of.
        found = torch.ops.aten.leaky_relu_backward(gradient, made, _SLOPE, True)
        if weights.clamp is not None:
            found.masked_fill_(made.abs() >= weights.clamp, 0)
        of_demodulation = None if plain is None else (found * plain).sum((2, 3), keepdim=True)
        found = weights.returned(found.mul_(demodulation))
        of_scale = None if x is None else (found * x).sum((2, 3), keepdim=True)
        return found.mul_(scale), of_scale, of_demodulation, None
