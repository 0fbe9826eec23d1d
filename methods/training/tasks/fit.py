"""First stage of the world's generator: fit it to rendered scenes, latent to picture. The adversarial stage is `gan`.

Loss: L1, L1 of gradients, L1 of coarser averages, and the critics' perceptual distance, without which eyes and mouths
come late: where a feature's place is still uncertain, L1 prefers to leave it out. The coarse layers come first
(`half_size_share` of the steps at 32 px, which cost less). The mapping network's rate is raised: with its lr_mul of
0.01 it would hardly move in a short training.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.synthetic.networks import load_critics
from bench.synthetic.render import render
from bench.synthetic.scene import scene_of_latent
from methods.nets.stylegan2 import Generator
from methods.training import losses
from methods.training.loop import Sync
from methods.training.recipe import Recipe
from methods.training.world import GENERATOR, find, prefixed, write_part

HALF_SIZE_LAYERS = 7  # the layers up to 32 px


def build(recipe: Recipe, runs: Path) -> FitTask:
    return FitTask(recipe, runs)


def picture_loss(made: Tensor, real: Tensor) -> Tensor:
    """L1 of pictures, of their gradients, and of 2x and 4x averages; (N, 3, H, W) each, scalar out."""
    difference = made - real
    loss = difference.abs().mean()
    loss = loss + (difference.diff(dim=-1).abs().mean() + difference.diff(dim=-2).abs().mean())
    for factor in (2, 4):
        loss = loss + 0.5 * F.avg_pool2d(difference, factor).abs().mean()
    return loss


def psnr(made: Tensor, real: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of pictures in [-1, 1]."""
    return float(10 * torch.log10(4 / (made.clamp(-1, 1) - real).square().mean()))


def new_generator() -> Generator:
    """An untrained world generator without noise: its scenes have no random texture."""
    generator = Generator(GENERATOR)
    for layer in range(GENERATOR.layers):
        getattr(generator.noises, f"noise_{layer}").zero_()
    return generator


def follow(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Move the running average of the weights towards the model's."""
    with torch.no_grad():
        for slow, fast in zip(average.parameters(), model.parameters(), strict=True):
            slow.lerp_(fast, 1 - decay)


class FitTask:
    """Trains a generator to draw the scene that its z stands for."""

    def __init__(self, recipe: Recipe, runs: Path) -> None:
        self.recipe = recipe
        self.critics = losses.Critics(*load_critics(find("critics.safetensors", runs)))
        self.half_steps = int(recipe.options["half_size_share"] * recipe.steps)
        self.generator, self.average = new_generator(), new_generator()
        self.average.load_state_dict(self.generator.state_dict())
        self.modules: dict[str, nn.Module] = {"generator": self.generator, "average": self.average}
        mapping = list(self.generator.style.parameters())
        rest = [p for name, p in self.generator.named_parameters() if not name.startswith("style.")]
        groups = [
            {"params": mapping, "rate_factor": recipe.options["mapping_rate_factor"]},
            {"params": rest, "rate_factor": 1.0},
        ]
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "generator": torch.optim.Adam(groups, lr=recipe.rate, betas=recipe.betas)
        }

    def step(self, step: int, random: torch.Generator, sync: Sync) -> Mapping[str, Tensor]:
        z = torch.randn(self.recipe.batch, GENERATOR.style_dim, generator=random)
        real = render(scene_of_latent(z), chunk=8)
        codes = self.generator.broadcast(self.generator.mapping(z))
        if step < self.half_steps:
            made = self.generator.advance(None, codes, HALF_SIZE_LAYERS, noise="none").rgb
            assert made is not None
            real = F.avg_pool2d(real, 2)
        else:
            made = self.generator(codes, noise="none")
        parts = {"picture": picture_loss(made, real)}
        if step >= self.half_steps:
            with torch.no_grad():
                features = self.critics.features(real)
            perceptual = losses.perceptual_loss(self.critics.features(made), features).mean()
            parts["perceptual"] = self.recipe.options["perceptual"] * perceptual
        self.optimisers["generator"].zero_grad(set_to_none=True)
        torch.stack(list(parts.values())).sum().backward()
        sync.average(self.generator)
        self.optimisers["generator"].step()
        follow(self.average, self.generator, min(0.998, step / (step + 20)))
        return {name: value.detach() for name, value in parts.items()}

    @torch.no_grad()
    def check(self) -> Mapping[str, float]:
        """PSNR (dB) of pictures of unseen z against the scenes they stand for."""
        z = torch.randn(64, GENERATOR.style_dim, generator=torch.Generator().manual_seed(99))
        real = render(scene_of_latent(z))
        made = self.average(self.average.broadcast(self.average.mapping(z)), noise="none")
        return {"psnr_db": round(psnr(made, real), 2)}

    def export(self, path: Path, provenance: Mapping[str, Any]) -> None:
        tensors = prefixed("decoder.", self.average) | {"latent_avg": self.average.mean_latent(20_000)}
        write_part(path, "generator", self.average.config, tensors, provenance, self.check())
