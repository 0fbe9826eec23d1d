"""ReStyle over e4e or pSp: an encoder that sees the input and its own last reconstruction (training_family card).

Five iterations a batch from the average image; after each the losses go backward (gradients add up) and image and
codes are detached; one optimiser step a batch. Over e4e the deltas join one by one, and a discriminator keeps the codes
near the generator's w; it learns after the encoder's step here, on the codes of the last iteration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from bench.core.schema import from_table
from methods.nets.pyramid import Wiring
from methods.psp.adapter import PyramidMethod
from methods.restyle.adapter import Restyle
from methods.restyle.network import restyle_encoder
from methods.training import losses, world_baselines
from methods.training.bounds import Count, Share, Weight
from methods.training.codes_critic import CodesCritic
from methods.training.inversion import CANVAS, InversionTask, Weights, load_pyramid, start_from
from methods.training.recipe import Recipe
from methods.training.task import Context
from methods.training.world import prefixed, write_part


@dataclass(frozen=True)
class CodesWeights(Weights):
    """Further ones, of what keeps codes near the generator's own.

    Attributes:
        deltas: Of the mean square length of rows 1.. minus row 0 (e4e).
        w_adversarial: Of fooling the discriminator of the generator's w (e4e).
    """

    deltas: Weight = 0.0
    w_adversarial: Weight = 0.0


@dataclass(frozen=True)
class Options:
    """Of ReStyle.

    Attributes:
        wiring: "deltas" (over e4e) or "rows" (over pSp).
        over: The one-step encoder whose backbone the encoder starts from, and which it should beat.
        iterations: Steps of the refinement, in training and afterwards.
        deltas_from, deltas_every: Shares of the steps: when the second row gets its own delta, and how much later each
            further row ("deltas" only); 0 gives all rows theirs from the beginning.
        weights: Of the losses.
    """

    wiring: Wiring = "deltas"
    over: Literal["e4e", "psp"] = "e4e"
    iterations: Count = 5
    deltas_from: Share = 0.0
    deltas_every: Share = 0.0
    weights: CodesWeights = field(default_factory=CodesWeights)

    @property
    def files(self) -> tuple[str, ...]:
        """Files of other recipes that are named here."""
        return (f"{self.over}.safetensors",)


def build(recipe: Recipe, context: Context) -> RestyleTask:
    """ReStyle on the world, over e4e or pSp. Raises UsageError for an option that `Options` does not have."""
    return RestyleTask(recipe, context, from_table(Options, recipe.options, recipe.name))


class RestyleTask(InversionTask):
    """Trains the encoder; the generator is frozen."""

    def __init__(self, recipe: Recipe, context: Context, options: Options) -> None:
        super().__init__(recipe, context, options.weights)
        self.options = options
        self.config = replace(world_baselines.restyle(options.wiring), iterations=options.iterations)
        self.encoder = restyle_encoder(self.config)
        self.before = load_pyramid(self, options.over)
        start_from(self.encoder, self.before.encoder)
        self.train_together(encoder=self.encoder)
        self.critic = CodesCritic(self) if options.weights.w_adversarial else None

    @cached_property
    def average_image(self) -> Tensor:
        """The generator's image of its mean w, (1, 3, 64, 64)."""
        with torch.no_grad():
            return self.generate(self.average.expand(1, self.config.rows, -1))

    def step(self, step: int, random: torch.Generator) -> Mapping[str, Tensor]:
        """All iterations on one batch, then one step; the losses shown are their means over the iterations."""
        self.encoder.train()
        real = self.draw(self.recipe.batch, random)
        codes, image = self.average.expand(len(real), self.config.rows, -1), self.average_image.expand_as(real)
        shown: dict[str, Tensor] = {}
        self.optimisers["model"].zero_grad(set_to_none=True)
        for _ in range(self.options.iterations):
            change = self.encoder(torch.cat([real, image], 1)).float()
            codes = codes + self._joined(change, step)
            made = self.generate(codes)
            parts = self.reconstruction(made, real) | self._codes_losses(codes)
            losses.total(parts).backward()
            codes, image = codes.detach(), made.detach()
            for name, value in parts.items():
                shown[name] = shown.get(name, 0) + value.detach() / self.options.iterations
        self.update()
        if self.critic is not None:
            shown["w_discriminator"] = self.critic.step(self.draw_w(self.recipe.batch, random), codes)
        return shown

    def _joined(self, change: Tensor, step: int) -> Tensor:
        """The rows' changes (N, L, D), those that have no delta yet with row 0's."""
        rows = self.rows_at(step)
        return torch.cat([change[:, :rows], change[:, :1].expand(-1, change.shape[1] - rows, -1)], 1)

    def rows_at(self, step: int) -> int:
        """How many rows go their own way in a step: 1 at first, all in the end."""
        share, options = step / self.recipe.steps, self.options
        if share < options.deltas_from:
            return 1
        if not options.deltas_every:
            return self.config.rows
        later = (share - options.deltas_from) / options.deltas_every
        return min(self.config.rows, 2 + int(later + 1e-6))

    def _codes_losses(self, codes: Tensor) -> dict[str, Tensor]:
        weights, parts = self.options.weights, dict[str, Tensor]()
        if weights.deltas:
            parts["deltas"] = weights.deltas * (codes[:, 1:] - codes[:, :1]).square().sum(2).mean()
        if self.critic is not None:
            parts["w_adversarial"] = weights.w_adversarial * self.critic.fooled(codes)
        return parts

    def method(self) -> Restyle:
        """ReStyle ("restyle" or "restyle-psp") on the present encoder."""
        name = "restyle" if self.options.wiring == "deltas" else "restyle-psp"
        return Restyle(name, CANVAS, self.encoder, self.plain, self.average, self.options.iterations)

    def predecessor(self) -> PyramidMethod:
        """The one-step encoder of the same wiring."""
        return self.before

    def exported(self) -> Mapping[str, nn.Module]:
        """The encoder."""
        return {"encoder.": self.encoder}

    def export(self, path: Path, provenance: Mapping[str, Any]) -> None:
        """The encoder; the generator's file is named as its part."""
        tensors = prefixed(self.exported())
        write_part(path, "encoder", self.config, tensors, provenance, self.check(), method=self.method().name)
