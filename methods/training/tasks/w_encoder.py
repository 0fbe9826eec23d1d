"""HyperStyle's W encoder: one w an image, an e4e-family training of its own (hyperstyle card 2, training_family card).

L2, perceptual and identity losses, and the discriminator of w. As the world's e4e it begins by regressing the known w
of generated images (`warm_up_share`, 0 gives the bare recipe).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from bench.core.schema import from_table
from methods.hyperstyle.network import WEncoder
from methods.training.bounds import Share, Weight
from methods.training.codes_critic import CodesCritic
from methods.training.inversion import EncoderMethod, InversionTask, Weights, load_pyramid, start_from
from methods.training.recipe import Recipe
from methods.training.task import Context
from methods.training.world import BACKBONE, GENERATOR, prefixed, write_part


@dataclass(frozen=True)
class CodesWeights(Weights):
    """And of fooling the discriminator of the generator's w."""

    w_adversarial: Weight = 0.01


@dataclass(frozen=True)
class Options:
    """Of the W encoder.

    Attributes:
        start: The encoder whose backbone it starts from.
        warm_up_share: Share of the steps that regress the w of generated images.
        weights: Of the losses.
    """

    start: Literal["e4e", "psp"] = "e4e"
    warm_up_share: Share = 0.2
    weights: CodesWeights = field(default_factory=CodesWeights)

    @property
    def files(self) -> tuple[str, ...]:
        """Files of other recipes that are named here."""
        return (f"{self.start}.safetensors",)


def build(recipe: Recipe, context: Context) -> WEncoderTask:
    """HyperStyle's W encoder. Raises UsageError for an option that `Options` does not have."""
    return WEncoderTask(recipe, context, from_table(Options, recipe.options, recipe.name))


class WEncoderTask(InversionTask):
    """Trains the encoder; the generator is frozen."""

    def __init__(self, recipe: Recipe, context: Context, options: Options) -> None:
        super().__init__(recipe, context, options.weights)
        self.options, self.warm_up_steps = options, int(options.warm_up_share * recipe.steps)
        self.encoder = WEncoder(BACKBONE, GENERATOR.style_dim)
        start_from(self.encoder, load_pyramid(self, options.start).encoder)
        self.train_together(encoder=self.encoder)
        self.critic = CodesCritic(self) if options.weights.w_adversarial else None

    def step(self, step: int, random: torch.Generator) -> Mapping[str, Tensor]:
        """Regress known w during the warm-up, then invert real images; the discriminator of w learns after it."""
        self.encoder.train()
        w = self.draw_w(self.recipe.batch, random)
        found, parts = self._regress(w) if step < self.warm_up_steps else self._invert(random)
        shown = self.learn(parts)
        if self.critic is not None:
            shown["w_discriminator"] = self.critic.step(w, found.detach()[:, None])
        return shown

    def _encode(self, images: Tensor) -> Tensor:
        return self.encoder(images).float() + self.average

    def _regress(self, w: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        with torch.no_grad():
            images = self.generate(self.plain.broadcast(w))
        found = self._encode(images)
        return found, {"regression": (found - w).abs().mean()}

    def _invert(self, random: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        real = self.draw(self.recipe.batch, random)
        found = self._encode(real)
        parts = self.reconstruction(self.generate(self.plain.broadcast(found)), real)
        if self.critic is not None:
            parts["w_adversarial"] = self.options.weights.w_adversarial * self.critic.fooled(found[:, None])
        return found, parts

    def method(self) -> EncoderMethod:
        """The encoder alone, its w in every row."""
        return w_method(self.encoder, self)

    def exported(self) -> Mapping[str, nn.Module]:
        """The encoder."""
        return {"encoder.": self.encoder}

    def export(self, path: Path, provenance: Mapping[str, Any]) -> None:
        """The encoder, as the part that HyperStyle's file names."""
        tensors = prefixed(self.exported())
        # A part of HyperStyle's, under its own key, so that both files' configurations can be laid together.
        write_part(path, "w_encoder", BACKBONE, tensors, provenance, self.check(), method="hyperstyle's W encoder")


def w_method(encoder: WEncoder, task: InversionTask) -> EncoderMethod:
    """The W encoder alone as a method: one w for all rows."""
    return EncoderMethod("w-encoder", task, lambda images: encoder(images)[:, None])
