"""HyperStyle: a hypernetwork that tunes the generator's weights to one image (hyperstyle and training_family cards).

The W encoder and the generator are frozen. Five iterations a batch from the W encoder's reconstruction; after each the
losses go backward, and image and weight offsets are detached; one optimiser step a batch. The heads start near zero
offsets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.core.checkpoint import load_strict, read_checkpoint, state_dict_of, take
from bench.core.schema import from_table
from methods.hyperstyle.adapter import HyperStyle
from methods.hyperstyle.network import HyperNet, OwnBlock, WEncoder
from methods.training import losses, world_baselines
from methods.training.bounds import Count, Weight
from methods.training.inversion import CANVAS, EncoderMethod, InversionTask, Weights
from methods.training.recipe import Recipe
from methods.training.task import Context
from methods.training.tasks.w_encoder import w_method
from methods.training.world import GENERATOR, find, prefixed, write_part

W_ENCODER = "w-encoder.safetensors"


@dataclass(frozen=True)
class Options:
    """Of HyperStyle.

    Attributes:
        iterations: Steps of the refinement, in training and afterwards.
        start_scale: Size of the first offsets.
        weights: Of the losses.
    """

    iterations: Count = 5
    start_scale: Weight = 0.01
    weights: Weights = field(default_factory=Weights)


def build(recipe: Recipe, context: Context) -> HyperStyleTask:
    """HyperStyle on the world's W encoder. Raises UsageError for an option that `Options` does not have."""
    return HyperStyleTask(recipe, context, from_table(Options, recipe.options, recipe.name))


class HyperStyleTask(InversionTask):
    """Trains the hypernetwork."""

    def __init__(self, recipe: Recipe, context: Context, options: Options) -> None:
        super().__init__(recipe, context, options.weights)
        self.options = options
        self.config = replace(world_baselines.HYPERSTYLE, iterations=options.iterations)
        self.w_encoder = WEncoder(self.config.w_encoder, GENERATOR.style_dim)
        trained = state_dict_of(read_checkpoint(find(W_ENCODER, context.runs)))
        load_strict(self.w_encoder, take(trained, "encoder."), W_ENCODER)
        self.w_encoder = self.w_encoder.eval().requires_grad_(False).to(self.device)
        self.hypernet = HyperNet(self.config, GENERATOR, CANVAS.input_size[1])
        start_near_zero(self.hypernet, options.start_scale)
        self.train_together(hypernet=self.hypernet)

    def step(self, step: int, random: torch.Generator) -> Mapping[str, Tensor]:
        """All iterations on one batch, then one step; the losses shown are their means over the iterations."""
        self.hypernet.train()
        real = self.draw(self.recipe.batch, random)
        with torch.no_grad():
            codes = self.w_encoder(real).float()[:, None] + self.average.expand(GENERATOR.rows, -1)
            image = self.generate(codes)
        offsets: dict[int, Tensor] = {}
        shown: dict[str, Tensor] = {}
        self.optimisers["model"].zero_grad(set_to_none=True)
        for _ in range(self.options.iterations):
            change = self.hypernet(torch.cat([real, image], 1))
            offsets = {layer: offset.float() + offsets.get(layer, 0) for layer, offset in change.items()}
            rgb = self.plain.advance(None, codes, offsets=offsets).rgb
            assert rgb is not None
            parts = self.reconstruction(rgb.float(), real)
            losses.total(parts).backward()
            offsets, image = {layer: offset.detach() for layer, offset in offsets.items()}, rgb.detach().float()
            for name, value in parts.items():
                shown[name] = shown.get(name, 0) + value.detach() / self.options.iterations
        self.update()
        return shown

    def method(self) -> HyperStyle:
        """HyperStyle on the present hypernetwork."""
        networks = self.w_encoder, self.hypernet, self.plain
        return HyperStyle("hyperstyle", CANVAS, *networks, self.average, self.options.iterations)

    @cached_property
    def before(self) -> EncoderMethod:
        """The W encoder alone: HyperStyle without offsets."""
        return w_method(self.w_encoder, self)

    def predecessor(self) -> EncoderMethod:
        """The W encoder alone (`before`)."""
        return self.before

    def exported(self) -> Mapping[str, nn.Module]:
        """The hypernetwork."""
        return {"hypernet.": self.hypernet}

    def export(self, path: Path, provenance: Mapping[str, Any]) -> None:
        """The hypernetwork; the files of generator and W encoder are named as parts."""
        tensors = prefixed(self.exported())
        parts = ["generator.safetensors", W_ENCODER]
        write_part(path, "hyper", self.config, tensors, provenance, self.check(), method="hyperstyle", parts=parts)


@torch.no_grad()
def start_near_zero(hypernet: HyperNet, scale: float) -> None:
    """Weights of the hypernetwork's last matrices for first offsets of about `scale`."""
    shared = hypernet.shared_weight_hypernet
    torch.nn.init.normal_(shared.w2, std=shared.channels**-0.5)
    torch.nn.init.normal_(shared.w1, std=scale * shared.channels**-0.5)
    for block in hypernet.refinement_blocks.values():
        if isinstance(block, OwnBlock):
            last: Any = block.output[1]
            last.weight.mul_(scale)
            last.bias.zero_()
