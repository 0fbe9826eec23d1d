"""Colours and flat shapes that the renderer lays over one another, on whatever device the scene is.

Colours are (N, 3, H, W) or broadcast, alphas (N, H, W).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bench.world.geometry import coverage


def constant(colour: Sequence[float], like: Tensor) -> Tensor:
    """A fixed colour as (1, 3, 1, 1), where `like` lives."""
    return torch.tensor(colour, device=like.device).view(1, 3, 1, 1)


def over(canvas: Tensor, colour: Tensor, alpha: Tensor) -> Tensor:
    """`colour` laid over `canvas` with `alpha`."""
    return canvas + alpha[:, None] * (colour - canvas)


def colour_between(dark: tuple[float, float, float], light: tuple[float, float, float], share: Tensor) -> Tensor:
    """Colour (N, 3, 1, 1) between two ends, `share` (N, 1, 1) in 0..1."""
    low, high = constant(dark, share), constant(light, share)
    return low + (high - low) * share[:, None]


def hue(value: Tensor, saturation: float = 0.85, lightness: float = 0.9) -> Tensor:
    """A vivid colour (N, 3, 1, 1) of a hue (N, 1, 1) in 0..1."""
    shift = constant((0.0, 2 / 3, 1 / 3), value)
    wave = ((value[:, None] + shift) % 1.0 * 6 - 3).abs().sub(1).clamp(0, 1)
    return lightness * (1 - saturation * (1 - wave))


def pattern(kind: Tensor, frequency: Tensor, a: Tensor, b: Tensor, width: float) -> Tensor:
    """A two-tone pattern, 0..1: stripes, checks or dots by `kind` (thirds of 0..1), over coordinates (a, b)."""
    edge = frequency * width
    stripes = coverage(torch.sin(frequency * a), edge)
    checks = coverage(torch.sin(frequency * a) * torch.sin(frequency * b), edge)
    dots = coverage(torch.cos(frequency * a) + torch.cos(frequency * b) - 0.6, edge)
    return torch.where(kind < 1 / 3, stripes, torch.where(kind < 2 / 3, checks, dots))


def switched(scene_value: Tensor) -> Tensor:
    """1.0 where a detail's switch is on, else 0.0."""
    return (scene_value > 0.5).float()


def bar(distance: Tensor, half_width: Tensor | float, edge: Tensor | float) -> Tensor:
    """Anti-aliased band of `half_width` round distance 0."""
    return coverage(half_width - distance.abs(), edge)
