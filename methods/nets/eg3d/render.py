"""EG3D's volume renderer: planes and rays in, a feature image and its depth out (eg3d card, sections 5 and 7).

Official inference draws fresh random numbers at every call. Ours takes the middle of every interval unless it is given
a generator or the draws themselves, so that a table can be made again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class RenderConfig:
    """Rendering settings; in the released files they lie beside the tensors.

    Attributes:
        resolution: Side of the feature image (neural rendering resolution).
        coarse, fine: Samples a ray of the two passes.
        near, far: Distances along the ray.
        box: Side of the cube that the planes cover, centred at the origin.
        white: Whether empty rays are white.
        disparity: Whether the coarse samples are even in 1 / distance.
    """

    resolution: int = 128
    coarse: int = 48
    fine: int = 48
    near: float = 2.25
    far: float = 3.3
    box: float = 1.0
    white: bool = False
    disparity: bool = False


@dataclass(frozen=True)
class Draws:
    """Uniform numbers in [0, 1): jitter (N, R, coarse, 1) and importance (N, R, fine)."""

    jitter: Tensor
    importance: Tensor

    @classmethod
    def of(cls, config: RenderConfig, count: int, rays: int, random: torch.Generator) -> Draws:
        """Fresh draws of a seeded generator, as the official renderer makes them."""
        jitter = torch.rand(count, rays, config.coarse, 1, generator=random)
        return cls(jitter, torch.rand(count, rays, config.fine, generator=random))


class March(NamedTuple):
    """Features (N, R, C), depth (N, R, 1) and weights (N, R, samples - 1, 1) along rays."""

    features: Tensor
    depth: Tensor
    weights: Tensor


class Samples(NamedTuple):
    """Raw density (N, R, S, 1) and features (N, R, S, C) of S samples along each ray."""

    density: Tensor
    features: Tensor


# Points (N, M, 3) -> raw density (N, M, 1) and features (N, M, C).
Field = Callable[[Tensor], tuple[Tensor, Tensor]]
# Width and height axis of each plane. There is no (y, z): planes 1 and 2 both see x and z, one transposed, and every
# released file was trained so.
_AXES = ((0, 1), (0, 2), (2, 0))


def sample_planes(planes: Tensor, points: Tensor, box: float) -> Tensor:
    """Mean over the planes (N, 3, C, h, w) of their values at points (N, M, 3); zero outside. Returns (N, M, C)."""
    count, number, channels = planes.shape[:3]
    scaled = points * (2 / box)
    grids = torch.stack([scaled[..., list(axes)] for axes in _AXES], 1).flatten(0, 1)[:, None]
    values = F.grid_sample(planes.flatten(0, 1), grids, mode="bilinear", padding_mode="zeros", align_corners=False)
    return values.view(count, number, channels, -1).mean(1).transpose(1, 2)


def render(
    field: Field, origins: Tensor, directions: Tensor, config: RenderConfig, draws: Draws | None = None
) -> March:
    """March rays twice, the second time with samples where the first found something.

    Args:
        origins: (N, 3).
        directions: (N, R, 3), unit length; depths are distances along them.
        draws: Random numbers; the middle of each interval and even importance when None.
    """
    coarse = coarse_depths(config, origins, directions, draws)
    first = evaluate(field, origins, directions, coarse)
    fine = fine_depths(coarse, march(coarse, *first, white=config.white).weights, config, draws)
    second = evaluate(field, origins, directions, fine)
    depths, order = torch.cat([coarse, fine], 2).sort(2)
    density = torch.cat([first.density, second.density], 2).gather(2, order)
    features = torch.cat([first.features, second.features], 2)
    return march(depths, density, features.gather(2, order.expand_as(features)), white=config.white)


def coarse_depths(config: RenderConfig, origins: Tensor, directions: Tensor, draws: Draws | None) -> Tensor:
    """Distances (N, R, coarse, 1): even steps, each moved by its jitter; the last may lie beyond `far`."""
    start, end = (1 / config.near, 1 / config.far) if config.disparity else (config.near, config.far)
    steps = torch.linspace(start, end, config.coarse, device=origins.device, dtype=origins.dtype).view(1, 1, -1, 1)
    jitter = torch.full_like(steps, 0.5) if draws is None else draws.jitter.to(origins)
    depths = steps + jitter * (end - start) / (config.coarse - 1)
    depths = depths.expand(*directions.shape[:2], -1, -1)
    return 1 / depths if config.disparity else depths


def evaluate(field: Field, origins: Tensor, directions: Tensor, depths: Tensor) -> Samples:
    """The field at distances (N, R, S, 1)."""
    points = origins[:, None, None] + depths * directions[:, :, None]
    density, features = field(points.flatten(1, 2))
    shape = depths.shape[:3]
    return Samples(density.view(*shape, 1), features.view(*shape, -1))


def march(depths: Tensor, density: Tensor, features: Tensor, *, white: bool = False) -> March:
    """Composite along rays; neighbours are averaged, so that S samples make S - 1 intervals. Features in [-1, 1]."""
    steps = depths[:, :, 1:] - depths[:, :, :-1]
    middle, raw, colour = ((x[:, :, :-1] + x[:, :, 1:]) / 2 for x in (depths, density, features))
    alpha = 1 - torch.exp(-F.softplus(raw - 1) * steps)
    through = torch.cat([torch.ones_like(alpha[:, :, :1]), 1 - alpha + 1e-10], 2).cumprod(2)[:, :, :-1]
    weights = alpha * through
    total = weights.sum(2)
    found = (weights * colour).sum(2)
    if white:
        found = found + 1 - total
    depth = (weights * middle).sum(2) / total
    nearest, farthest = depths.amin((1, 2, 3)), depths.amax((1, 2, 3))
    depth = depth.nan_to_num(float("inf")).clamp(nearest.view(-1, 1, 1), farthest.view(-1, 1, 1))
    return March(found * 2 - 1, depth, weights)


def fine_depths(depths: Tensor, weights: Tensor, config: RenderConfig, draws: Draws | None) -> Tensor:
    """Distances (N, R, fine, 1) drawn where the coarse weights (N, R, S - 1, 1) are large."""
    rays = weights.shape[:2]
    flat = weights.reshape(-1, 1, weights.shape[2])
    widened = F.avg_pool1d(F.max_pool1d(flat, 2, 1, padding=1), 2, 1)[:, 0] + 0.01
    bins = ((depths[:, :, :-1] + depths[:, :, 1:]) / 2).flatten(0, 1)[..., 0]
    density = widened[:, 1:-1] + 1e-5
    cumulated = (density / density.sum(1, keepdim=True)).cumsum(1)
    cumulated = torch.cat([torch.zeros_like(cumulated[:, :1]), cumulated], 1)
    if draws is None:
        wanted = torch.linspace(0, 1, config.fine, device=bins.device, dtype=bins.dtype).expand(len(bins), -1)
    else:
        wanted = draws.importance.to(bins).reshape(len(bins), -1)
    above = torch.searchsorted(cumulated, wanted.contiguous(), right=True)
    below = (above - 1).clamp(min=0)
    above = above.clamp(max=cumulated.shape[1] - 1)
    low, high = cumulated.gather(1, below), cumulated.gather(1, above)
    width = high - low
    share = (wanted - low) / torch.where(width < 1e-5, torch.ones_like(width), width)
    start, end = bins.gather(1, below), bins.gather(1, above)
    return (start + share * (end - start)).view(*rays, config.fine, 1)
