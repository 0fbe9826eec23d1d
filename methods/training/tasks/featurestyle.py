"""FeatureStyle: style codes and a feature map that takes the place of the generator's own (feature_style card 7).

Each batch is half generated and half real images. L2 is taken on the generated half alone; a perceptual loss at three
scales, identity, and the distance of F to the generator's own map on both. F fades in (s from 0 to 1). The authors'
loss on face parsing has no counterpart here, and their identity loss reads several layers of its network, ours the
embedding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.core.schema import Bounds, from_table
from methods.featurestyle.adapter import FeatureStyle
from methods.featurestyle.network import FeatureStyleEncoder
from methods.training import losses, world_baselines
from methods.training.bounds import Share, Weight
from methods.training.inversion import CANVAS, EncoderMethod, InversionTask, Weights
from methods.training.recipe import Recipe
from methods.training.task import Context
from methods.training.world import prefixed, write_part


@dataclass(frozen=True)
class Options:
    """Of FeatureStyle.

    Attributes:
        fade_share: Share of the steps over which F fades in.
        features: Weight of the mean square distance of F to the generator's own map.
        scales: Sizes at which the perceptual loss looks: the image halved 0, 1, ... times.
        l2_real: Weight of L2 on the real half (0 in the published recipe).
        weights: Of the losses; l2 on the generated half, perceptual at each scale.
    """

    fade_share: Share = 1 / 12
    features: Weight = 0.01
    scales: Annotated[int, Bounds(1, 5)] = 3
    l2_real: Weight = 0.0
    weights: Weights = field(default_factory=lambda: Weights(perceptual=0.05))


def build(recipe: Recipe, context: Context) -> FeatureStyleTask:
    """FeatureStyle on the world. Raises UsageError for an option that `Options` does not have."""
    return FeatureStyleTask(recipe, context, from_table(Options, recipe.options, recipe.name))


class FeatureStyleTask(InversionTask):
    """Trains the encoder; the generator is frozen."""

    def __init__(self, recipe: Recipe, context: Context, options: Options) -> None:
        super().__init__(recipe, context, options.weights)
        self.options = options
        self.real = recipe.batch // 2
        context.processes.size_of_part(self.real, "half a batch")
        self.encoder = FeatureStyleEncoder(world_baselines.FEATURESTYLE)
        self.train_together(encoder=self.encoder)

    def step(self, step: int, random: torch.Generator) -> Mapping[str, Tensor]:
        """One step on half generated, half real images."""
        self.encoder.train()
        with torch.no_grad():
            made_up = self.generate(self.plain.broadcast(self.draw_w(self.recipe.batch - self.real, random)))
        images = torch.cat([made_up, self.draw(self.real, random)])
        rows, features = self.encoder(self.encoder.shrink(images))
        parts = self._losses(images, len(made_up), rows.float() + self.average, features, self.fade(step))
        return self.learn(parts)

    def fade(self, step: int) -> float:
        """s of a step: how much of the generator's own map F replaces."""
        whole = self.options.fade_share * self.recipe.steps
        return min(1.0, step / whole) if whole else 1.0

    def _losses(self, images: Tensor, made_up: int, codes: Tensor, features: Tensor, fade: float) -> dict[str, Tensor]:
        options, weights = self.options, self.weights
        with torch.autocast(self.device.type, enabled=False):
            styles = self.generator.styles(codes)
            own = self.generator.advance(None, styles, self.encoder.config.insert_at)
            mixed = own.x.lerp(features.to(own.x), fade)
            made = self.generator.advance(own.with_features(mixed), styles).rgb
            assert made is not None
            square = losses.pixel_loss(made, images)
            parts = {
                "l2": weights.l2 * square[:made_up].mean(),
                "perceptual": weights.perceptual * self._perceptual(made, images),
                "features": options.features * (features.float() - own.x.float()).square().mean(),
            }
            if options.l2_real:
                parts["l2_real"] = options.l2_real * square[made_up:].mean()
            if weights.identity:
                with torch.no_grad():
                    person = self.critics.embed(images)
                parts["identity"] = weights.identity * losses.identity_loss(self.critics.embed(made), person).mean()
        return parts

    def _perceptual(self, made: Tensor, real: Tensor) -> Tensor:
        """The sum of the perceptual losses of the images and of their halved copies, scalar."""
        whole = made.new_zeros(())
        for _ in range(self.options.scales):
            with torch.no_grad():
                wanted = self.critics.features(real)
            whole = whole + losses.perceptual_loss(self.critics.features(made), wanted).mean()
            made, real = F.avg_pool2d(made, 2), F.avg_pool2d(real, 2)
        return whole

    def method(self) -> FeatureStyle:
        """FeatureStyle on the present encoder, F faded in fully."""
        return FeatureStyle("featurestyle", CANVAS, self.plain, self.encoder, self.average)

    @cached_property
    def before(self) -> EncoderMethod:
        """The present encoder's codes without its feature map."""

        def codes(images: Tensor) -> Tensor:
            rows, _ = self.encoder(self.encoder.shrink(images))
            return rows

        return EncoderMethod("featurestyle's codes", self, codes)

    def predecessor(self) -> EncoderMethod:
        """Its own W+ codes without the feature map."""
        return self.before

    def exported(self) -> Mapping[str, nn.Module]:
        """The encoder."""
        return {"encoder.": self.encoder}

    def export(self, path: Path, provenance: Mapping[str, Any]) -> None:
        """The encoder; the generator's file is named as its part."""
        tensors = prefixed(self.exported())
        write_part(path, "encoder", self.encoder.config, tensors, provenance, self.check(), method="featurestyle")
