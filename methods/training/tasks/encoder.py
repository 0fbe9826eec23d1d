"""The base encoder of the world: e4e (or pSp by `wiring = "rows"`), trained against the frozen generator.

e4e's recipe ("e4e" card 11): L2, perceptual and identity losses, a penalty on the deltas, and a discriminator that
keeps codes near the generator's w. One addition: a warm-up that regresses the known codes of generated pictures,
which costs no gradient through the generator and saves most of the time on a small machine (`warm_up_share`, 0 gives
the bare recipe).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.synthetic.networks import load_critics
from methods.nets.pyramid import PyramidEncoder
from methods.training import losses
from methods.training.loop import Sync
from methods.training.recipe import Recipe
from methods.training.world import ENCODER, find, load_generator, pictures_of_people, prefixed, write_part


def build(recipe: Recipe, runs: Path) -> EncoderTask:
    return EncoderTask(recipe, runs)


class LatentDiscriminator(nn.Sequential):
    """Tells the generator's w from encoded rows: a four-layer perceptron, (M, D) -> (M, 1)."""

    def __init__(self, dim: int, width: int = 128) -> None:
        super().__init__(
            nn.Linear(dim, width), nn.LeakyReLU(0.2), nn.Linear(width, width), nn.LeakyReLU(0.2),
            nn.Linear(width, width), nn.LeakyReLU(0.2), nn.Linear(width, 1),
        )  # fmt: skip


class EncoderTask:
    """Trains a `PyramidEncoder`; the generator, its mean w and the critics are frozen."""

    def __init__(self, recipe: Recipe, runs: Path) -> None:
        self.recipe, self.weights = recipe, recipe.options["weights"]
        self.warm_up_steps = int(recipe.options["warm_up_share"] * recipe.steps)
        self.generator, self.average = load_generator(runs)
        self.critics = losses.Critics(*load_critics(find("critics.safetensors", runs)))
        config = replace(ENCODER, wiring=recipe.options.get("wiring", "deltas"))
        self.encoder, self.discriminator = PyramidEncoder(config), LatentDiscriminator(config.style_dim)
        self.modules: dict[str, nn.Module] = {"encoder": self.encoder, "discriminator": self.discriminator}
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "encoder": torch.optim.Adam(self.encoder.parameters(), lr=recipe.rate, betas=recipe.betas),
            "discriminator": torch.optim.Adam(
                [{"params": list(self.discriminator.parameters()), "rate_factor": 0.2}], lr=recipe.rate
            ),
        }

    def step(self, step: int, random: torch.Generator, sync: Sync) -> Mapping[str, Tensor]:
        self.encoder.train()
        made_w = self.generator.mapping(torch.randn(self.recipe.batch, self.average.numel(), generator=random))
        parts = self._regress(made_w) if step < self.warm_up_steps else self._invert(random)
        self.optimisers["encoder"].zero_grad(set_to_none=True)
        torch.stack([value for name, value in parts.items() if name != "codes"]).sum().backward()
        sync.average(self.encoder)
        self.optimisers["encoder"].step()
        shown = {name: value.detach() for name, value in parts.items() if name != "codes"}
        return shown | {"w_discriminator": self._step_discriminator(made_w, parts["codes"].detach())}

    def _regress(self, w: Tensor) -> dict[str, Tensor]:
        """Warm-up: the codes of generated pictures are known."""
        codes = self.generator.broadcast(w)
        with torch.no_grad():
            pictures = self.generator(codes)
        found = self.encoder(pictures) + self.average
        return {"codes": found, "regression": (found - codes).abs().mean()}

    def _invert(self, random: torch.Generator) -> dict[str, Tensor]:
        real = pictures_of_people("train", self.recipe.batch, random)
        raw = self.encoder(real)
        codes = raw + self.average
        made = self.generator(codes)
        with torch.no_grad():
            real_features, real_id = self.critics.features(real), self.critics.embed(real)
        weights = self.weights
        fooled = self.discriminator(codes.flatten(0, 1))
        return {
            "codes": codes,
            "l2": weights["l2"] * losses.pixel_loss(made, real).mean(),
            "perceptual": weights["perceptual"]
            * losses.perceptual_loss(self.critics.features(made), real_features).mean(),
            "identity": weights["identity"] * losses.identity_loss(self.critics.embed(made), real_id).mean(),
            "deltas": weights["deltas"] * (raw[:, 1:] - raw[:, :1]).square().sum(2).mean(),
            "w_adversarial": weights["w_adversarial"] * losses.generator_adversarial(fooled).mean(),
        }

    def _step_discriminator(self, w: Tensor, codes: Tensor) -> Tensor:
        loss = losses.discriminator_loss(self.discriminator(w), self.discriminator(codes.flatten(0, 1)))
        loss = loss + losses.r1_penalty(self.discriminator, w, 1.0)
        self.optimisers["discriminator"].zero_grad(set_to_none=True)
        loss.backward()
        self.optimisers["discriminator"].step()
        return loss.detach()

    @torch.no_grad()
    def check(self) -> Mapping[str, float]:
        """Mean square error of reconstructed held-out pictures (val), and how far rows differ from each other."""
        self.encoder.eval()
        real = pictures_of_people("val", 64, torch.Generator().manual_seed(0))
        codes = self.encoder(real) + self.average
        made = self.generator(codes)
        return {
            "mse": round(float(F.mse_loss(made.clamp(-1, 1), real)), 5),
            "delta": round(float((codes[:, 1:] - codes[:, :1]).norm(dim=2).mean()), 4),
        }

    def export(self, path: Path, provenance: Mapping[str, Any]) -> None:
        tensors = prefixed("encoder.", self.encoder)
        write_part(path, "encoder", self.encoder.config, tensors, provenance, self.check())
