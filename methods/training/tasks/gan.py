"""Second stage of the world's generator: adversarial, from the fitted one, so that D exists and G is a GAN with its
own gaps.

Non-saturating logistic loss with R1, style mixing, path length left out; a share of the fit's loss keeps z's meaning
(and with it the linear directions in W) while D learns. D starts first, alone (`discriminator_head_start`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.synthetic.render import render
from bench.synthetic.scene import scene_of_latent
from bench.weights.load import load_strict, read_checkpoint, state_dict_of, take
from methods.nets.stylegan2 import Discriminator
from methods.training import losses
from methods.training.loop import Sync
from methods.training.recipe import Recipe
from methods.training.tasks.fit import follow, new_generator, picture_loss, psnr
from methods.training.world import DISCRIMINATOR, GENERATOR, find, prefixed, write_part


def build(recipe: Recipe, runs: Path) -> GanTask:
    return GanTask(recipe, runs)


class GanTask:
    """Trains generator and discriminator on scenes without details."""

    def __init__(self, recipe: Recipe, runs: Path) -> None:
        self.recipe, options = recipe, recipe.options
        fitted = state_dict_of(read_checkpoint(find("generator-fit.safetensors", runs)))
        self.generator, self.average = new_generator(), new_generator()
        for network in (self.generator, self.average):
            load_strict(network, take(fitted, "decoder."), "generator-fit.safetensors")
        self.discriminator = Discriminator(DISCRIMINATOR)
        self.modules: dict[str, nn.Module] = {
            "generator": self.generator, "average": self.average, "discriminator": self.discriminator,
        }  # fmt: skip
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "generator": torch.optim.Adam(self.generator.parameters(), lr=recipe.rate, betas=recipe.betas),
            "discriminator": torch.optim.Adam(
                [
                    {
                        "params": list(self.discriminator.parameters()),
                        "rate_factor": options["discriminator_rate_factor"],
                    }
                ],
                lr=recipe.rate,
                betas=recipe.betas,
            ),
        }

    def _codes(self, z: Tensor, random: torch.Generator) -> Tensor:
        """Codes (N, L, D); some samples mix two styles from a random row on."""
        w = self.generator.mapping(z)
        other = self.generator.mapping(torch.randn(z.shape, generator=random))
        rows = torch.arange(GENERATOR.rows)
        start = torch.randint(1, GENERATOR.rows, (len(z), 1), generator=random)
        mixed = (rows >= start) & (torch.rand(len(z), 1, generator=random) < self.recipe.options["mixing"])
        return torch.where(mixed[..., None], other[:, None], w[:, None])

    def step(self, step: int, random: torch.Generator, sync: Sync) -> Mapping[str, Tensor]:
        options = self.recipe.options
        z = torch.randn(self.recipe.batch, GENERATOR.style_dim, generator=random)
        real = render(scene_of_latent(torch.randn(z.shape, generator=random)), chunk=8)
        shown: dict[str, Tensor] = {}
        with torch.no_grad():
            made = self.generator(self._codes(z, random), noise="none")
        loss = losses.discriminator_loss(self.discriminator(real), self.discriminator(made))
        shown["discriminator"] = loss.detach()
        if step % options["r1_every"] == 0:
            loss = loss + options["r1_every"] * losses.r1_penalty(self.discriminator, real, options["r1_gamma"])
        self._update("discriminator", self.discriminator, loss, sync)
        if step < options["discriminator_head_start"]:
            return shown
        self.discriminator.requires_grad_(False)
        adversarial = losses.generator_adversarial(
            self.discriminator(self.generator(self._codes(z, random), noise="none"))
        )
        self.discriminator.requires_grad_(True)
        parts = {"adversarial": options["adversarial"] * adversarial.mean()}
        anchor = z[: options["anchored"]]
        fitted = self.generator(self.generator.broadcast(self.generator.mapping(anchor)), noise="none")
        parts["fit"] = picture_loss(fitted, render(scene_of_latent(anchor), chunk=8))
        self._update("generator", self.generator, torch.stack(list(parts.values())).sum(), sync)
        follow(self.average, self.generator, 0.99)
        return shown | {name: value.detach() for name, value in parts.items()}

    def _update(self, name: str, module: nn.Module, loss: Tensor, sync: Sync) -> None:
        self.optimisers[name].zero_grad(set_to_none=True)
        loss.backward()
        sync.average(module)
        self.optimisers[name].step()

    @torch.no_grad()
    def check(self) -> Mapping[str, float]:
        """PSNR (dB) of unseen z against the scenes they stand for, and the discriminator's mean logits."""
        z = torch.randn(64, GENERATOR.style_dim, generator=torch.Generator().manual_seed(99))
        real = render(scene_of_latent(z))
        made = self.average(self.average.broadcast(self.average.mapping(z)), noise="none")
        return {
            "psnr_db": round(psnr(made, real), 2),
            "logit_real": round(float(self.discriminator(real).mean()), 3),
            "logit_made": round(float(self.discriminator(made).mean()), 3),
        }

    def export(self, path: Path, provenance: Mapping[str, Any]) -> None:
        tensors = prefixed("decoder.", self.average) | {"latent_avg": self.average.mean_latent(20_000)}
        write_part(path, "generator", self.average.config, tensors, provenance, self.check())
        critic = path.with_name("discriminator.safetensors")
        write_part(
            critic, "discriminator", DISCRIMINATOR, prefixed("discriminator.", self.discriminator), provenance, {}
        )
