"""HFGI: the alignment of the residual and the consultation encoder, on a frozen e4e (hfgi card 7).

The residual (input minus e4e's reconstruction) is distorted by a random perspective; the alignment network must put it
right, held to the undistorted residual by L1; the consultation encoder turns it into a scale and a shift of the
generator's features. The authors let the frozen encoder's batch norms drift in training mode; here e4e stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.core.schema import from_table
from methods.hfgi.adapter import Hfgi
from methods.hfgi.names import ALIGNMENT, CONSULTATION
from methods.hfgi.network import Alignment, Consultation, fuse, low_rate
from methods.nets.stylegan2 import State
from methods.psp.adapter import PyramidMethod
from methods.training import world_baselines
from methods.training.bounds import Share, Weight
from methods.training.frozen import FastEncoder
from methods.training.frozen.generator import Styles
from methods.training.inversion import CANVAS, InversionTask, Weights, load_pyramid
from methods.training.recipe import Recipe
from methods.training.task import Context
from methods.training.world import BASE_FILES, prefixed, write_part


@dataclass(frozen=True)
class Options:
    """Of HFGI.

    Attributes:
        alignment: Weight of the L1 distance between the aligned and the undistorted residual.
        distortion: Largest shift of a corner, in halves of the image's side.
        distorted_share: Share of the residuals that are distorted.
        weights: Of the other losses.
    """

    alignment: Weight = 0.1
    distortion: Weight = 0.15
    distorted_share: Share = 0.9
    weights: Weights = field(default_factory=Weights)


def build(recipe: Recipe, context: Context) -> HfgiTask:
    """HFGI on the world's e4e. Raises UsageError for an option that `Options` does not have."""
    return HfgiTask(recipe, context, from_table(Options, recipe.options, recipe.name))


class HfgiTask(InversionTask):
    """Trains alignment and consultation."""

    def __init__(self, recipe: Recipe, context: Context, options: Options) -> None:
        super().__init__(recipe, context, options.weights)
        self.options, self.config = options, world_baselines.HFGI
        self.e4e = load_pyramid(self, "e4e")
        self.encoder = FastEncoder(self.e4e.encoder, self.average, self.dtype)
        self.alignment, self.consultation = Alignment(self.config), Consultation(self.config)
        self.train_together(alignment=self.alignment, consultation=self.consultation)

    def step(self, step: int, random: torch.Generator) -> Mapping[str, Tensor]:
        """One step: distort e4e's residual, align it, fuse it into the generator, compare."""
        self.alignment.train()
        self.consultation.train()
        options = self.options
        real = self.draw(self.recipe.batch, random)
        warps = random_perspectives(self.recipe.batch, options.distortion, options.distorted_share, random)
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            codes = self.encoder.encode(real).codes
            styles = self.generator.styles(codes)
            prefix = self.generator.advance(None, styles, self.config.fuse_after)
            low = low_rate(self._finished(prefix, styles), CANVAS.input_size)
            residual = real - low
            distorted = warp_perspective(residual, self.context.processes.part(warps).to(self.device))
        aligned = self.alignment(distorted, low)
        scale, shift = self.consultation(aligned)
        with torch.autocast(self.device.type, enabled=False):
            features = fuse(prefix.x, scale.to(prefix.x), shift.to(prefix.x))
            made = self._finished(prefix.with_features(features), styles)
            parts = self.reconstruction(made, real)
            parts["alignment"] = options.alignment * (aligned.float() - residual).abs().mean()
        return self.learn(parts)

    def _finished(self, state: State, styles: Styles) -> Tensor:
        rgb = self.generator.advance(state, styles).rgb
        assert rgb is not None
        return rgb

    def method(self) -> Hfgi:
        """HFGI on the present networks."""
        networks = self.plain, self.e4e.encoder, self.alignment, self.consultation
        return Hfgi("hfgi", CANVAS, *networks, self.average)

    def predecessor(self) -> PyramidMethod:
        """The e4e whose residual it adds."""
        return self.e4e

    def exported(self) -> Mapping[str, nn.Module]:
        """Alignment and consultation."""
        return {ALIGNMENT: self.alignment, CONSULTATION: self.consultation}

    def export(self, path: Path, provenance: Mapping[str, Any]) -> None:
        """Alignment and consultation; the files of generator and e4e are named as parts."""
        tensors = prefixed(self.exported())
        write_part(path, "hfgi", self.config, tensors, provenance, self.check(), parts=list(BASE_FILES))


def random_perspectives(count: int, distortion: float, share: float, random: torch.Generator) -> Tensor:
    """Random perspective maps (count, 3, 3) on coordinates in [-1, 1], from the output's to the input's.

    The input's corners move inwards by up to `distortion` of half the side on each axis; about `share` of the maps do
    so, the others are the identity.
    """
    corners = torch.tensor([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    inwards = distortion * torch.rand(count, 4, 2, generator=random)
    active = (torch.rand(count, 1, 1, generator=random) < share).float()
    return homographies(corners * (1 - inwards * active), corners.expand(count, -1, -1))


def homographies(source: Tensor, target: Tensor) -> Tensor:
    """The perspective maps (N, 3, 3) that take four points (N, 4, 2) to four others."""
    x, y = source.unbind(-1)
    u, v = target.unbind(-1)
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    first = torch.stack([x, y, one, zero, zero, zero, -u * x, -u * y], -1)
    second = torch.stack([zero, zero, zero, x, y, one, -v * x, -v * y], -1)
    solved = torch.linalg.solve(torch.cat([first, second], 1), torch.cat([u, v], 1))
    return torch.cat([solved, torch.ones_like(solved[:, :1])], 1).view(-1, 3, 3)


def warp_perspective(images: Tensor, maps: Tensor) -> Tensor:
    """Images (N, C, h, w) seen through maps (N, 3, 3) from output to input coordinates; zeros outside, bilinear."""
    height, width = images.shape[-2:]
    rows = (torch.arange(height, device=images.device) * 2 + 1) / height - 1
    columns = (torch.arange(width, device=images.device) * 2 + 1) / width - 1
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    points = torch.stack([x, y, torch.ones_like(x)], -1).view(1, -1, 3) @ maps.transpose(1, 2)
    grid = (points[..., :2] / points[..., 2:]).view(-1, height, width, 2)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
