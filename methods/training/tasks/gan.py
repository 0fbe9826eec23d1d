"""Second stage of the world's generator: adversarial, from the fitted one, so that D exists and G is a GAN with its
own gaps.

Non-saturating logistic loss with R1, style mixing, path length left out; a share of the fit's loss keeps z's meaning
(and with it the linear directions in W) while D learns. D starts first, alone (`discriminator_head_start`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.core.checkpoint import load_strict, read_checkpoint, state_dict_of, take
from bench.core.errors import UsageError
from bench.core.schema import from_table
from bench.world.render import render
from bench.world.scene import scene_of_latent
from methods.nets.stylegan2 import Discriminator
from methods.training import losses
from methods.training.bounds import CountOrNone, Factor, Share, Weight, check_groups, check_warm_up
from methods.training.frozen import FastDiscriminator
from methods.training.frozen.copies import match_layout
from methods.training.grids import grid
from methods.training.optimisers import fastest
from methods.training.recipe import Recipe
from methods.training.task import Context, Task
from methods.training.tasks.fit import draw, follow, image_loss, new_generator, psnr, unseen_latents
from methods.training.world import DISCRIMINATOR, GENERATOR, find, prefixed, write_part


@dataclass(frozen=True)
class Options:
    """Options of the task.

    Attributes:
        adversarial: Weight of the adversarial loss against the fit's.
        anchored: Samples of a step whose images are still held to their scenes.
        mixing: Share of the samples that mix two styles.
        r1_every: R1 every so many steps, as many times stronger; 0: never.
        r1_gamma: R1's weight.
        discriminator_rate_factor: The discriminator's rate against the generator's.
        discriminator_head_start: First steps of the discriminator alone.
    """

    adversarial: Weight = 0.05
    anchored: CountOrNone = 8
    mixing: Share = 0.3
    r1_every: CountOrNone = 16
    r1_gamma: Weight = 1.0
    discriminator_rate_factor: Factor = 2.0
    discriminator_head_start: CountOrNone = 80


def build(recipe: Recipe, context: Context) -> GanTask:
    """The adversarial stage of the world's generator. Raises UsageError for an option that `Options` does not have."""
    check_groups(context.processes.size_of_part(recipe.batch))
    if len(recipe.also) != 1:
        raise UsageError(f"{recipe.name} writes one file beside its generator", 'also = ["discriminator.safetensors"]')
    return GanTask(recipe, from_table(Options, recipe.options, recipe.name), context)


class GanTask(Task):
    """Trains generator and discriminator on scenes without details."""

    def __init__(self, recipe: Recipe, options: Options, context: Context) -> None:
        self.recipe, self.options, self.context = recipe, options, context
        check_warm_up("discriminator_head_start", options.discriminator_head_start, recipe.steps)
        self.anchored = context.processes.size_of_part(min(options.anchored, recipe.batch), "the anchored part")
        fitted = state_dict_of(read_checkpoint(find("generator-fit.safetensors", context.runs)))
        self.generator, self.average = (new_generator().to(context.device) for _ in range(2))
        for network in (self.generator, self.average):
            load_strict(network, take(fitted, "decoder."), "generator-fit.safetensors")
        self.discriminator = Discriminator(DISCRIMINATOR).to(context.device)
        dtype = torch.bfloat16 if recipe.bfloat16 else torch.float32
        self.fast_discriminator = FastDiscriminator(self.discriminator, dtype)
        self.modules: dict[str, nn.Module] = {
            "generator": self.generator, "average": self.average, "discriminator": self.discriminator,
        }  # fmt: skip
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "generator": torch.optim.Adam(
                self.generator.parameters(), lr=recipe.rate, betas=recipe.betas, **fastest(context.device)
            ),
            "discriminator": torch.optim.Adam(
                [
                    {
                        "params": list(self.discriminator.parameters()),
                        "rate_factor": options.discriminator_rate_factor,
                    }
                ],
                lr=recipe.rate,
                betas=recipe.betas,
                **fastest(context.device),
            ),
        }

    def _codes(self, z: Tensor, random: torch.Generator) -> Tensor:
        """Codes (N, L, D) of this process's z; some samples mix two styles from a random row on."""
        batch = self.recipe.batch
        with self.context.exactly():
            w, other = (self.generator.mapping(each.to(self.context.device)) for each in (z, self._normal(random)))
        rows = torch.arange(GENERATOR.rows)
        start = torch.randint(1, GENERATOR.rows, (batch, 1), generator=random)
        mixed = (rows >= start) & (torch.rand(batch, 1, generator=random) < self.options.mixing)
        mixed = self.context.processes.part(mixed).to(w.device)
        return torch.where(mixed[..., None], other[:, None], w[:, None])

    def _normal(self, random: torch.Generator) -> Tensor:
        """This process's z of a global batch, on the CPU."""
        z = torch.randn(self.recipe.batch, GENERATOR.style_dim, generator=random)
        return self.context.processes.part(z)

    def _drawn(self, z: Tensor) -> Tensor:
        """The scenes that z (N, D) stand for, drawn on the device."""
        return render(scene_of_latent(z).to(self.context.device))

    def step(self, step: int, random: torch.Generator) -> Mapping[str, Tensor]:
        """D's step, and from `discriminator_head_start` on G's."""
        options = self.options
        z = self._normal(random)
        real = self._drawn(self._normal(random))
        shown: dict[str, Tensor] = {}
        with torch.no_grad():
            made = draw(self.generator, self._codes(z, random))
        with self.context.exactly():
            weights = self.fast_discriminator.weights(trained=True)
            logits = [self.fast_discriminator(images, weights) for images in (real, made)]
            loss = losses.discriminator_loss(*logits)
            shown["discriminator"] = loss.detach()
            if options.r1_every and step % options.r1_every == 0:
                loss = loss + options.r1_every * losses.r1_penalty(self.discriminator, real, options.r1_gamma)
        self._update("discriminator", self.discriminator, loss)
        if step < options.discriminator_head_start:
            return shown
        parts = self._generator_losses(z, random)
        self._update("generator", self.generator, losses.total(parts))
        follow(self.average, self.generator, 0.99)
        return shown | {name: value.detach() for name, value in parts.items()}

    def _generator_losses(self, z: Tensor, random: torch.Generator) -> dict[str, Tensor]:
        options, parts = self.options, dict[str, Tensor]()
        made = draw(self.generator, self._codes(z, random))
        with self.context.exactly():
            self.discriminator.requires_grad_(False)
            adversarial = losses.generator_adversarial(self.fast_discriminator(made))
            self.discriminator.requires_grad_(True)
            parts["adversarial"] = options.adversarial * adversarial.mean()
        if self.anchored:
            held = z[: self.anchored]
            with self.context.exactly():
                codes = self.generator.broadcast(self.generator.mapping(held.to(self.context.device)))
            parts["fit"] = image_loss(draw(self.generator, codes), self._drawn(held))
        return parts

    def _update(self, name: str, module: nn.Module, loss: Tensor) -> None:
        self.optimisers[name].zero_grad(set_to_none=True)
        loss.backward()
        match_layout(module.parameters())
        self.context.processes.average(module)
        self.optimisers[name].step()

    @torch.no_grad()
    def check(self) -> Mapping[str, float]:
        """PSNR (dB) of unseen z against the scenes they stand for, and the discriminator's mean logits."""
        real, z = self._drawn(unseen_latents(64)), unseen_latents(64).to(self.context.device)
        made = self.average(self.average.broadcast(self.average.mapping(z)), noise="none")
        return {
            "psnr_db": round(psnr(made, real), 2),
            "logit_real": round(float(self.discriminator(real).mean()), 3),
            "logit_made": round(float(self.discriminator(made).mean()), 3),
        }

    @torch.no_grad()
    def samples(self) -> Mapping[str, Tensor]:
        """Scenes, and what the generator draws of the same z below them."""
        z = unseen_latents(12).to(self.context.device)
        made = self.average(self.average.broadcast(self.average.mapping(z)), noise="none")
        return {"generator": grid(self._drawn(unseen_latents(12)), made)}

    def export(self, path: Path, provenance: Mapping[str, Any]) -> None:
        """Two files: the averaged generator with its mean w at `path`, beside it the discriminator."""
        tensors = prefixed({"decoder.": self.average}) | {"latent_avg": self.average.mean_latent(20_000)}
        write_part(path, "generator", self.average.config, tensors, provenance, self.check())
        critic = path.with_name(self.recipe.also[0])
        write_part(
            critic, "discriminator", DISCRIMINATOR, prefixed({"discriminator.": self.discriminator}), provenance, {}
        )
