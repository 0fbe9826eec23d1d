"""Pivotal tuning: the generator itself is fitted to one image, around fixed codes (pti card, section 2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.core.contract import report_step
from methods.nets.stylegan2 import Generator
from methods.pti.project import Distance


@dataclass(frozen=True)
class Tuning:
    """Settings.

    Attributes:
        steps: At most.
        rate: Adam's, constant.
        enough: The perceptual distance at which it stops, before the update.
        pixel_weight, perceptual_weight: Of the mean squared error and the perceptual distance, at full size.
    """

    steps: int = 350
    rate: float = 3e-4
    enough: float = 0.06
    pixel_weight: float = 1.0
    perceptual_weight: float = 1.0


@dataclass(frozen=True)
class Tuned:
    """A generator's tensors for one image.

    Attributes:
        tensors: All but mapping network, noise maps and filters, by the generator's names.
        steps: Updates made.
        distance, error: Last perceptual distance and mean squared error.
    """

    tensors: dict[str, Tensor]
    steps: int
    distance: float
    error: float


def tune(
    generator: Generator,
    codes: Tensor,
    image: Tensor,
    crop: Callable[[Tensor], Tensor],
    distance: Distance,
    settings: Tuning,
) -> Tuned:
    """Fit the generator to an image (1, 3, H, W) in [-1, 1] around codes (1, L, D). It is changed: give a fresh copy.

    A distance that never gets below `enough` is no error; the rows of a table show it.
    """
    parameters = tunable(generator)
    optimiser = torch.optim.Adam(parameters.values(), lr=settings.rate)
    from_image = distance(image)
    made, far, error = 0, 0.0, 0.0
    for step in range(settings.steps + 1):
        picture = crop(generator(codes))
        perceptual, pixels = from_image(picture).sum(), (picture - image).square().mean()
        far, error = float(perceptual.detach()), float(pixels.detach())
        if far <= settings.enough or step == settings.steps:
            report_step("tune", settings.steps, settings.steps)
            break
        optimiser.zero_grad(set_to_none=True)
        (settings.pixel_weight * pixels + settings.perceptual_weight * perceptual).backward()
        optimiser.step()
        made += 1
        report_step("tune", step + 1, settings.steps)
    return Tuned({name: value.detach().clone() for name, value in parameters.items()}, made, far, error)


def tunable(generator: Generator) -> dict[str, torch.nn.Parameter]:
    """What tuning changes: convolutions, affines, to-RGBs, biases, noise strengths and the constant."""
    return {name: value for name, value in generator.named_parameters() if not name.startswith("style.")}
