"""StyleTransformer: encoder, tokens and the generator's mapping network together (style_transformer card 3, 10).

The synthesis is frozen; the mapping network that makes the queries is fine-tuned, so that the file carries its own. It
begins by regressing the known codes of generated images (`warm_up_share`, 0 gives the bare recipe), from the backbone
of the world's e4e as far as sizes agree, in the place of the authors' face-recognition weights.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from bench.core.schema import from_table
from methods.styletransformer.adapter import MAPPING, StyleTransformer
from methods.styletransformer.network import StyleTransformerEncoder, queries
from methods.training import world_baselines
from methods.training.bounds import Share
from methods.training.inversion import CANVAS, InversionTask, Weights, load_pyramid, start_from
from methods.training.recipe import Recipe
from methods.training.task import Context
from methods.training.world import prefixed, write_part


@dataclass(frozen=True)
class Options:
    """Of StyleTransformer.

    Attributes:
        start: The encoder whose backbone it starts from.
        warm_up_share: Share of the steps that regress the codes of generated images.
        weights: Of the losses.
    """

    start: Literal["e4e", "psp"] = "e4e"
    warm_up_share: Share = 0.2
    weights: Weights = field(default_factory=Weights)

    @property
    def files(self) -> tuple[str, ...]:
        """Files of other recipes that are named here."""
        return (f"{self.start}.safetensors",)


def build(recipe: Recipe, context: Context) -> StyleTransformerTask:
    """StyleTransformer on the world. Raises UsageError for an option that `Options` does not have."""
    return StyleTransformerTask(recipe, context, from_table(Options, recipe.options, recipe.name))


class StyleTransformerTask(InversionTask):
    """Trains the encoder and the mapping network of its own copy of the generator."""

    def __init__(self, recipe: Recipe, context: Context, options: Options) -> None:
        super().__init__(recipe, context, options.weights)
        self.warm_up_steps = int(options.warm_up_share * recipe.steps)
        self.encoder = StyleTransformerEncoder(world_baselines.STYLETRANSFORMER)
        start_from(self.encoder, load_pyramid(self, options.start).encoder)
        self.own = copy.deepcopy(self.plain)
        self.own.style.requires_grad_(True)
        self.train_together(encoder=self.encoder, mapping=self.own.style)

    def step(self, step: int, random: torch.Generator) -> Mapping[str, Tensor]:
        """Regress known codes during the warm-up, then reconstruct real images."""
        self.encoder.train()
        # Dropout draws from the global stream: from the step's own, a resumed training repeats it.
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=random)))
        if step < self.warm_up_steps:
            parts = self._regress(self.draw_w(self.recipe.batch, random))
        else:
            real = self.draw(self.recipe.batch, random)
            parts = self.reconstruction(self.generate(self._encode(real)), real)
        return self.learn(parts)

    def _encode(self, images: Tensor) -> Tensor:
        query = queries(self.encoder.tokens.z, self.own.mapping)
        return self.encoder.encode(images, query).codes.float() + self.average

    def _regress(self, w: Tensor) -> dict[str, Tensor]:
        codes = self.plain.broadcast(w)
        with torch.no_grad():
            images = self.generate(codes)
        return {"regression": (self._encode(images) - codes).abs().mean()}

    def method(self) -> StyleTransformer:
        """StyleTransformer on the present encoder and mapping network."""
        return StyleTransformer("styletransformer", CANVAS, self.own, self.encoder, self.average)

    def exported(self) -> Mapping[str, nn.Module]:
        """The encoder, and the mapping network of its own generator."""
        return {"encoder.": self.encoder, MAPPING: self.own.style}

    def export(self, path: Path, provenance: Mapping[str, Any]) -> None:
        """Writes what `exported` names; the generator's file, named as its part, has the synthesis."""
        tensors = prefixed(self.exported())
        write_part(path, "encoder", self.encoder.config, tensors, provenance, self.check(), method="styletransformer")
