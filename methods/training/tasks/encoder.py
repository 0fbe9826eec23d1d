"""The base encoder of the world: e4e (or pSp by `wiring = "rows"`), trained against the frozen generator.

e4e's recipe ("e4e" card 11): L2, perceptual and identity losses, a penalty on the deltas, and a discriminator that
keeps codes near the generator's w. One addition: a warm-up that regresses the known codes of generated images,
which costs no gradient through the generator and saves most of the time on a small machine (`warm_up_share`, 0 gives
the bare recipe).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.core.schema import from_table
from methods.nets.base import Canvas
from methods.nets.pyramid import PyramidEncoder, Wiring
from methods.psp.adapter import PyramidMethod
from methods.training import losses
from methods.training.bounds import Share, Weight
from methods.training.codes_critic import CodesCritic
from methods.training.edit_figures import EditFigures, invert_by
from methods.training.frozen import FastCritics, FastGenerator, quicken
from methods.training.frozen.copies import match_layout
from methods.training.grids import grid
from methods.training.optimisers import fastest
from methods.training.people import People
from methods.training.recipe import Recipe
from methods.training.task import Context, Task
from methods.training.world import ENCODER, load_generator, load_loss_critics, prefixed, write_part


@dataclass(frozen=True)
class Weights:
    """Weights of the losses; 0 leaves a term out of the sum."""

    l2: Weight = 1.0
    perceptual: Weight = 0.2
    identity: Weight = 0.1
    deltas: Weight = 2e-3
    w_adversarial: Weight = 0.01


@dataclass(frozen=True)
class Options:
    """Options of the task.

    Attributes:
        wiring: "deltas" (e4e) or "rows" (pSp).
        warm_up_share: Share of the steps that regress known codes of generated images.
        weights: Of the losses.
    """

    wiring: Wiring = "deltas"
    warm_up_share: Share = 0.45
    weights: Weights = Weights()


def build(recipe: Recipe, context: Context) -> EncoderTask:
    """The e4e or pSp of the world. Raises UsageError for an option that `Options` does not have."""
    return EncoderTask(recipe, from_table(Options, recipe.options, recipe.name), context)


class EncoderTask(Task):
    """Trains a `PyramidEncoder`; the generator, its mean w and the critics are frozen."""

    def __init__(self, recipe: Recipe, options: Options, context: Context) -> None:
        self.recipe, self.context, self.weights = recipe, context, options.weights
        self.warm_up_steps = int(options.warm_up_share * recipe.steps)
        dtype = torch.bfloat16 if recipe.bfloat16 else torch.float32
        self.plain, self.average = load_generator(context.runs, context.device)
        self.generator = FastGenerator(self.plain, dtype)
        self.critics = FastCritics(load_loss_critics(context.runs, context.device), dtype)
        self.train_people = People("train", context.device, context.runs)
        self.held_out = People("val", context.device, context.runs).images(torch.arange(64))
        config = replace(ENCODER, wiring=options.wiring)
        self.encoder = quicken(PyramidEncoder(config)).to(memory_format=torch.channels_last).to(context.device)
        self.modules: dict[str, nn.Module] = {"encoder": self.encoder}
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "encoder": torch.optim.Adam(
                self.encoder.parameters(), lr=recipe.rate, betas=recipe.betas, **fastest(context.device)
            )
        }
        self.critic = CodesCritic(self) if self.weights.w_adversarial else None

    def step(self, step: int, random: torch.Generator) -> Mapping[str, Tensor]:
        """Regress known codes during the warm-up, then invert real images; the discriminator of w learns after it."""
        self.encoder.train()
        z = torch.randn(self.recipe.batch, self.average.numel(), generator=random)
        with torch.no_grad(), self.context.exactly():
            made_w = self.plain.mapping(self.context.processes.part(z).to(self.context.device))
        parts = self._regress(made_w) if step < self.warm_up_steps else self._invert(random)
        self.optimisers["encoder"].zero_grad(set_to_none=True)
        torch.stack([value for name, value in parts.items() if name != "codes"]).sum().backward()
        match_layout(self.encoder.parameters())
        self.context.processes.average(self.encoder)
        self.optimisers["encoder"].step()
        shown = {name: value.detach() for name, value in parts.items() if name != "codes"}
        if self.critic is not None:
            shown["w_discriminator"] = self.critic.step(made_w, parts["codes"].detach())
        return shown

    def _regress(self, w: Tensor) -> dict[str, Tensor]:
        """Warm-up: the codes of generated images are known."""
        codes = self.plain.broadcast(w)
        with torch.no_grad(), self.context.exactly():
            images = self.generator(codes)
        found = self._encode(images) + self.average
        return {"codes": found, "regression": (found - codes).abs().mean()}

    def _invert(self, random: torch.Generator) -> dict[str, Tensor]:
        real = self.train_people.draw(self.recipe.batch, random, self.context.processes)
        raw = self._encode(real)
        with self.context.exactly():
            return self._losses(raw, real)

    def _losses(self, raw: Tensor, real: Tensor) -> dict[str, Tensor]:
        codes, weights = raw + self.average, self.weights
        made = self.generator(codes)
        with torch.no_grad():
            real_features, real_id = self.critics.features(real), self.critics.embed(real)
        parts = {
            "codes": codes,
            "l2": weights.l2 * losses.pixel_loss(made, real).mean(),
            "perceptual": weights.perceptual
            * losses.perceptual_loss(self.critics.features(made), real_features).mean(),
            "identity": weights.identity * losses.identity_loss(self.critics.embed(made), real_id).mean(),
            "deltas": weights.deltas * (raw[:, 1:] - raw[:, :1]).square().sum(2).mean(),
        }
        if self.critic is not None:
            parts["w_adversarial"] = weights.w_adversarial * self.critic.fooled(codes)
        return parts

    def _encode(self, images: Tensor) -> Tensor:
        """Codes without the mean w, float32, of images (n, 3, 64, 64)."""
        # In bfloat16 what is left of a trained encoder's gradient had a cosine of .98, at any batch.
        with self.context.exactly():
            return self.encoder(images.contiguous(memory_format=torch.channels_last))

    @cached_property
    def figures(self) -> EditFigures:
        """Validation people with their true edits."""
        return EditFigures(self.context.device)

    @torch.no_grad()
    def check(self) -> Mapping[str, float]:
        """Held-out people (val): see `EditFigures.measure`; the mean square error over more of them, and `delta`, how
        far rows differ from each other.
        """
        self.encoder.eval()
        real = self.held_out
        codes = self.encoder(real) + self.average
        made = self.plain(codes)
        method = PyramidMethod(self.method_name, Canvas.of("faces", 64), self.encoder, self.plain, self.average)
        return {
            **self.figures.measure(invert_by(method.eval())),
            "mse": round(float(F.mse_loss(made.clamp(-1, 1), real)), 5),
            "delta": round(float((codes[:, 1:] - codes[:, :1]).norm(dim=2).mean()), 4),
        }

    @torch.no_grad()
    def samples(self) -> Mapping[str, Tensor]:
        """Held-out images, and their reconstructions below them."""
        self.encoder.eval()
        real = self.held_out[:12]
        return {"reconstruction": grid(real, self.plain(self.encoder(real) + self.average))}

    def exported(self) -> Mapping[str, nn.Module]:
        """The encoder."""
        return {"encoder.": self.encoder}

    def export(self, path: Path, provenance: Mapping[str, Any]) -> None:
        """The encoder; the generator's file is named as its part."""
        tensors = prefixed(self.exported())
        write_part(path, "encoder", self.encoder.config, tensors, provenance, self.check(), method=self.method_name)

    @property
    def method_name(self) -> str:
        """What the encoder is, by its wiring."""
        return "e4e" if self.encoder.config.wiring == "deltas" else "psp"
