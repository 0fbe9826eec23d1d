"""First stage of the world's generator: fit it to rendered scenes, latent to image. The adversarial stage is `gan`.

Loss: L1, L1 of gradients, L1 of coarser averages, and the critics' perceptual distance, without which eyes and mouths
come late: where a feature's place is still uncertain, L1 prefers to leave it out. The coarse layers come first
(`half_size_share` of the steps at 32 px, which cost less). The mapping network's rate is raised: with its lr_mul of
0.01 it would hardly move in a short training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.core.schema import from_table
from bench.world.render import render
from bench.world.scene import scene_of_latent
from methods.nets.stylegan2 import Generator, State
from methods.training import losses
from methods.training.bounds import Factor, Share, Weight
from methods.training.frozen import FastCritics
from methods.training.frozen.copies import match_layout
from methods.training.grids import grid
from methods.training.optimisers import fastest
from methods.training.recipe import Recipe
from methods.training.task import Context, Task
from methods.training.world import GENERATOR, load_loss_critics, prefixed, write_part

HALF_SIZE_LAYERS = 7  # the layers up to 32 px


@dataclass(frozen=True)
class Options:
    """Options of the task.

    Attributes:
        half_size_share: Share of the steps that train the layers up to 32 px alone.
        mapping_rate_factor: The mapping network's rate against the rest's.
        perceptual: Weight of the critics' distance.
    """

    half_size_share: Share = 0.2
    mapping_rate_factor: Factor = 50.0
    perceptual: Weight = 0.5


def build(recipe: Recipe, context: Context) -> FitTask:
    """The fit of the world's generator. Raises UsageError for an option that `Options` does not have."""
    return FitTask(recipe, from_table(Options, recipe.options, recipe.name), context)


def image_loss(made: Tensor, real: Tensor) -> Tensor:
    """L1 of images, of their gradients, and of 2x and 4x averages; (N, 3, H, W) each, scalar out."""
    difference = made - real
    loss = difference.abs().mean()
    loss = loss + (difference.diff(dim=-1).abs().mean() + difference.diff(dim=-2).abs().mean())
    for factor in (2, 4):
        loss = loss + 0.5 * F.avg_pool2d(difference, factor).abs().mean()
    return loss


def psnr(made: Tensor, real: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of images in [-1, 1]."""
    return float(10 * torch.log10(4 / (made.clamp(-1, 1) - real).square().mean()))


def new_generator() -> Generator:
    """An untrained world generator without noise: its scenes have no random texture."""
    generator = Generator(GENERATOR)
    for layer in range(GENERATOR.layers):
        getattr(generator.noises, f"noise_{layer}").zero_()
    return generator


def draw(generator: Generator, codes: Tensor, layers: int | None = None) -> Tensor:
    """Images float32 of codes (N, L, D) after `layers` layers (all by default), without noise.

    Activations are channels_last from the first map on, which convolutions in bfloat16 are fastest with.
    """
    first = generator.input.input.expand(len(codes), -1, -1, -1).contiguous(memory_format=torch.channels_last)
    rgb = generator.advance(State(first, None, 0), codes, layers, noise="none").rgb
    assert rgb is not None
    return rgb.float()


def unseen_latents(count: int) -> Tensor:
    """z (count, D) that no step draws."""
    return torch.randn(count, GENERATOR.style_dim, generator=torch.Generator().manual_seed(99))


def follow(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Move the running average of the weights towards the model's."""
    with torch.no_grad():
        torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - decay)


class FitTask(Task):
    """Trains a generator to draw the scene that its z stands for."""

    def __init__(self, recipe: Recipe, options: Options, context: Context) -> None:
        self.recipe, self.options, self.context = recipe, options, context
        dtype = torch.bfloat16 if recipe.bfloat16 else torch.float32
        self.critics = FastCritics(load_loss_critics(context.runs, context.device), dtype)
        self.half_steps = int(options.half_size_share * recipe.steps)
        self.generator, self.average = (new_generator().to(context.device) for _ in range(2))
        self.average.load_state_dict(self.generator.state_dict())
        self.modules: dict[str, nn.Module] = {"generator": self.generator, "average": self.average}
        mapping = list(self.generator.style.parameters())
        rest = [p for name, p in self.generator.named_parameters() if not name.startswith("style.")]
        groups = [
            {"params": mapping, "rate_factor": options.mapping_rate_factor},
            {"params": rest, "rate_factor": 1.0},
        ]
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "generator": torch.optim.Adam(groups, lr=recipe.rate, betas=recipe.betas, **fastest(context.device))
        }

    def step(self, step: int, random: torch.Generator) -> Mapping[str, Tensor]:
        """Draw the scenes of random z and compare: at 32 px in the first steps, then at 64 px and with the critics."""
        z = torch.randn(self.recipe.batch, GENERATOR.style_dim, generator=random)
        z = self.context.processes.part(z)
        real = render(scene_of_latent(z).to(self.context.device))
        z = z.to(self.context.device)
        with self.context.exactly():
            codes = self.generator.broadcast(self.generator.mapping(z))
        if step < self.half_steps:
            made, real = draw(self.generator, codes, HALF_SIZE_LAYERS), F.avg_pool2d(real, 2)
        else:
            made = draw(self.generator, codes)
        with self.context.exactly():
            parts = self._losses(made, real, perceptual=step >= self.half_steps)
        self.optimisers["generator"].zero_grad(set_to_none=True)
        losses.total(parts).backward()
        match_layout(self.generator.parameters())
        self.context.processes.average(self.generator)
        self.optimisers["generator"].step()
        follow(self.average, self.generator, min(0.998, step / (step + 20)))
        return {name: value.detach() for name, value in parts.items()}

    def _losses(self, made: Tensor, real: Tensor, *, perceptual: bool) -> dict[str, Tensor]:
        parts = {"picture": image_loss(made, real)}
        if perceptual:
            with torch.no_grad():
                features = self.critics.features(real)
            found = losses.perceptual_loss(self.critics.features(made), features).mean()
            parts["perceptual"] = self.options.perceptual * found
        return parts

    @torch.no_grad()
    def check(self) -> Mapping[str, float]:
        """PSNR (dB) of images of unseen z against the scenes they stand for."""
        made, real = self._drawn()
        return {"psnr_db": round(psnr(made, real), 2)}

    @torch.no_grad()
    def samples(self) -> Mapping[str, Tensor]:
        """Scenes, and what the generator draws of the same z below them."""
        made, real = self._drawn(12)
        return {"fit": grid(real, made)}

    def _drawn(self, count: int = 64) -> tuple[Tensor, Tensor]:
        """Images of unseen z, and the scenes they stand for, (count, 3, 64, 64) each."""
        scene, z = scene_of_latent(unseen_latents(count)), unseen_latents(count).to(self.context.device)
        made = self.average(self.average.broadcast(self.average.mapping(z)), noise="none")
        return made, render(scene.to(self.context.device))

    def export(self, path: Path, provenance: Mapping[str, Any]) -> None:
        """The averaged generator with its mean w."""
        tensors = prefixed({"decoder.": self.average}) | {"latent_avg": self.average.mean_latent(20_000)}
        write_part(path, "generator", self.average.config, tensors, provenance, self.check())
