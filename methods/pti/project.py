"""Optimising codes for one image: the StyleGAN2 projector, in W or W+ (pti card, section 1)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.core.contract import report_step
from methods.nets.stylegan2 import Generator

# Images (1, 3, h, w) in about [-1, 1] -> a function that says how far others are from it.
Distance = Callable[[Tensor], Callable[[Tensor], Tensor]]
_SEEN = 256


@dataclass(frozen=True)
class Projection:
    """Settings of the projector.

    Attributes:
        space: "w" (one row, repeated) or "w+" (every row by itself).
        steps: T.
        rate: Largest learning rate; warmed up over the first 5 % of the steps, ramped down over the last quarter.
        samples: z whose mean code is the start, and whose spread scales the noise on the codes.
        code_noise: Share of that spread that is added to the codes at the start; gone after 3/4 of the steps.
        noise_weight: Of the regulariser that keeps the optimised noise maps free of structure.
        seed: Of samples, code noise and noise maps; the same for every image, so that no image depends on another.
    """

    space: Literal["w", "w+"] = "w"
    steps: int = 450
    rate: float = 0.01
    samples: int = 600
    code_noise: float = 0.05
    noise_weight: float = 1e5
    seed: int = 123


@dataclass(frozen=True)
class Projected:
    """What came out: codes (1, L, D), and the last value of the perceptual distance."""

    codes: Tensor
    distance: float


def project(
    generator: Generator, image: Tensor, crop: Callable[[Tensor], Tensor], distance: Distance, settings: Projection
) -> Projected:
    """Codes for an image, float32 (1, 3, H, W) in [-1, 1] of the generator's size after `crop`.

    The noise maps are optimised beside the codes and then lost, as in PTI: the image is made with the stored ones.
    The last iterate is returned.
    """
    # On the CPU, so that every device draws the same.
    random = torch.Generator().manual_seed(settings.seed)
    mean, spread = _statistics(generator, settings, random)
    rows = generator.config.rows
    codes = mean.expand(1, 1 if settings.space == "w" else rows, -1).clone().requires_grad_(True)
    noises = [_drawn(random, (1, 1, side, side), image) for side in _sides(generator)]
    for noise in noises:
        noise.requires_grad_(True)
    optimiser = torch.optim.Adam([codes, *noises], lr=settings.rate, betas=(0.9, 0.999))
    from_image = distance(shrunk(image))
    value = torch.zeros(())
    for step in range(settings.steps):
        part = step / settings.steps
        optimiser.param_groups[0]["lr"] = settings.rate * ramp(part)
        strength = spread * settings.code_noise * max(0.0, 1 - part / 0.75) ** 2
        moved = codes + strength * _drawn(random, codes.shape, image)
        made = crop(generator(moved.expand(-1, rows, -1), noise=noises))
        value = from_image(shrunk(made)).sum()
        optimiser.zero_grad(set_to_none=True)
        (value + settings.noise_weight * noise_structure(noises)).backward()
        optimiser.step()
        with torch.no_grad():
            for noise in noises:
                noise -= noise.mean()
                noise *= noise.square().mean().rsqrt()
        report_step("project", step + 1, settings.steps)
    return Projected(codes.detach().expand(-1, rows, -1).clone(), float(value.detach()))


def ramp(part: float) -> float:
    """Share of the learning rate at a share 0..1 of the steps; 0 in the first step."""
    return (0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - part) / 0.25))) * min(1.0, part / 0.05)


def noise_structure(noises: list[Tensor]) -> Tensor:
    """How far noise maps (1, 1, s, s) are from white: correlation with their neighbours, over a pyramid of sizes."""
    total = noises[0].new_zeros(())
    for noise in noises:
        level = noise
        while True:
            for axis in (3, 2):
                total = total + (level * level.roll(1, axis)).mean().square()
            if level.shape[-1] <= 8:
                break
            level = F.avg_pool2d(level, 2)
    return total


def shrunk(image: Tensor) -> Tensor:
    """The image averaged over areas to at most 256 px of width, as the perceptual network sees it."""
    factor = image.shape[-1] // _SEEN
    return F.avg_pool2d(image, factor) if factor > 1 else image


@torch.no_grad()
def _statistics(generator: Generator, settings: Projection, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mean code (D,), and the root of the mean squared distance to it, one number."""
    like = generator.input.input
    codes = generator.mapping(_drawn(random, (settings.samples, generator.config.style_dim), like))
    mean = codes.mean(0)
    return mean, (codes - mean).square().sum(1).mean().sqrt()


def _sides(generator: Generator) -> list[int]:
    return [generator.config.layer_size(layer) for layer in range(generator.config.layers)]


def _drawn(random: torch.Generator, shape: tuple[int, ...] | torch.Size, like: Tensor) -> Tensor:
    return torch.randn(shape, generator=random).to(like)
