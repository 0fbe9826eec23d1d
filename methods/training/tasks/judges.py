"""The world's judges and the critics of the training losses: attribute regressor, identity embedder, describer.

Both files come from this task, with different seeds: what a method is trained against (`critics`) is not what it is
measured with (`judges`), as ArcFace and CurricularFace are two networks in the paper.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.core.checkpoint import write_safetensors
from bench.core.errors import UsageError
from bench.core.schema import from_table
from bench.world.networks import ATTRIBUTES, YAW_UNIT, WorldNetworks, new_networks
from bench.world.render import IMAGE_SIZE, render
from bench.world.scene import DETAIL_FIELDS, FIELDS, SWITCHES, Scene, other_photo, sample_people
from methods.training.frozen.copies import match_layout
from methods.training.losses import total
from methods.training.optimisers import fastest
from methods.training.recipe import Recipe
from methods.training.task import Context, Task
from methods.training.world import batch_of_people

TEMPERATURE = 0.1


@dataclass(frozen=True)
class Options:
    """The task has no options of its own."""


def build(recipe: Recipe, context: Context) -> JudgesTask:
    """The three networks of a recipe's seed. Raises UsageError for any option, and for other betas: it has none."""
    from_table(Options, recipe.options, recipe.name)
    if recipe.betas != Recipe.betas:
        raise UsageError(f"{recipe.name}: betas is not for judges, whose AdamW has PyTorch's own", "leave it out")
    return JudgesTask(recipe, context)


def targets_of(scene: Scene) -> tuple[Tensor, Tensor]:
    """What the describer must tell: every field scaled to -1..1, (N, F), and a weight: 0 for fields of absent
    details.
    """
    low, high = torch.tensor(list(FIELDS.values()), device=scene.values.device).T
    scaled = (scene.values - low) / (high - low) * 2 - 1
    weight = torch.ones_like(scaled)
    for i, name in enumerate(FIELDS):
        if name in SWITCHES:
            scaled[:, i] = scaled[:, i].sign()
        elif name in DETAIL_FIELDS:
            owner = next(s for s in SWITCHES if name.startswith(s.rstrip("s")))
            weight[:, i] = 0.3 * (scene[owner] > 0.5)
    return scaled, weight


def attributes_of(scene: Scene) -> Tensor:
    """(N, 3): smile, yaw in YAW_UNIT, age."""
    return torch.stack([scene[name] / (YAW_UNIT if name == "yaw" else 1.0) for name in ATTRIBUTES], 1)


@dataclass(frozen=True)
class Roughness:
    """What makes images look as networks make them: some blurred, all with a little noise and a changed contrast.

    Each (N, 1, 1, 1) but `noise` (N, 3, H, W).
    """

    blur: Tensor
    gain: Tensor
    noise: Tensor

    @staticmethod
    def draw(count: int, size: int, random: torch.Generator) -> Roughness:
        """Random roughness of `count` images of side `size`, on the CPU."""
        blur = torch.rand(count, 1, 1, 1, generator=random) * (torch.rand(count, 1, 1, 1, generator=random) < 0.4)
        gain = 1 + 0.1 * torch.randn(count, 1, 1, 1, generator=random)
        noise = torch.randn(count, 3, size, size, generator=random)
        return Roughness(blur, gain, noise * 0.06 * torch.rand(count, 1, 1, 1, generator=random))

    def apply(self, images: Tensor) -> Tensor:
        """Images float32 (count, 3, size, size) in [-1, 1], roughened and clamped to that again."""
        blurred = F.interpolate(F.avg_pool2d(images, 2), scale_factor=2, mode="bilinear")
        return (images.lerp(blurred, self.blur) * self.gain + self.noise).clamp(-1, 1)


def contrast(first: Tensor, second: Tensor) -> Tensor:
    """Symmetric InfoNCE of unit embeddings (N, D): row i of both is the same person."""
    logits = first @ second.T / TEMPERATURE
    same = torch.arange(len(first), device=first.device)
    return (F.cross_entropy(logits, same) + F.cross_entropy(logits.T, same)) / 2


class JudgesTask(Task):
    """Three networks on the same batches: `batch` people, two photographs of each."""

    def __init__(self, recipe: Recipe, context: Context) -> None:
        self.context = context
        self.networks: WorldNetworks = new_networks().to(context.device)
        self.modules = dict(self.networks.modules())
        parameters = [p for module in self.modules.values() for p in module.parameters()]
        self.optimisers = {
            "all": torch.optim.AdamW(parameters, lr=recipe.rate, weight_decay=1e-3, **fastest(context.device))
        }
        self.people = recipe.batch

    def _batch(self, random: torch.Generator) -> Scene:
        people = batch_of_people("train", self.people, random)
        # A quarter without details: generated images have none, and must be measured as well.
        plain = torch.rand(self.people, generator=random) < 0.25
        return Scene(torch.where(plain[:, None], people.without_details().values, people.values))

    def _mine(self, values: Tensor) -> Tensor:
        """This process's people of values (2 N, ...) of N people's two photographs, on the device."""
        part = self.context.processes.part
        return torch.cat([part(half) for half in values.chunk(2)]).to(self.context.device)

    def step(self, step: int, random: torch.Generator) -> Mapping[str, Tensor]:
        """One step on two photographs each of `batch` people; all three networks have one optimiser."""
        first = self._batch(random)
        second = other_photo(first, int(torch.randint(2**31, (1,), generator=random)))
        scene = Scene(self._mine(torch.cat([first.values, second.values])))
        drawn = Roughness.draw(2 * self.people, IMAGE_SIZE, random)
        rough = Roughness(*(self._mine(values) for values in (drawn.blur, drawn.gain, drawn.noise)))
        images = rough.apply(render(scene)).contiguous(memory_format=torch.channels_last)
        found = {name: network(images).float() for name, network in self.modules.items()}
        with self.context.exactly():
            losses = self._losses(found, scene)
        self.optimisers["all"].zero_grad(set_to_none=True)
        total(losses).backward()
        for module in self.modules.values():
            match_layout(module.parameters())
        self.context.processes.average(*self.modules.values())
        self.optimisers["all"].step()
        return losses

    def _losses(self, found: Mapping[str, Tensor], scene: Scene) -> dict[str, Tensor]:
        embedded = F.normalize(found["embedder"], dim=1).chunk(2)
        described, weight = targets_of(scene)
        return {
            "attributes": (found["regressor"] - attributes_of(scene)).abs().mean() * 3,
            "identity": contrast(*(self.context.processes.gather(half) for half in embedded)) * 0.3,
            "fields": ((found["describer"] - described).square() * weight).mean(),
        }

    @torch.no_grad()
    def check(self) -> Mapping[str, float]:
        """Figures on people of no split (`check_networks`)."""
        return check_networks(self.networks, self.context.device)

    def export(self, path: Path, provenance: Mapping[str, Any]) -> None:
        """All three networks in one file, as float16."""
        tensors = {
            f"{name}.{key}": value.half() if value.is_floating_point() else value
            for name, module in self.modules.items()
            for key, value in module.state_dict().items()
        }
        write_safetensors(path, tensors, {"made": dict(provenance), "held_out": dict(self.check())})


@torch.no_grad()
def check_networks(networks: WorldNetworks, device: torch.device | str = "cpu", count: int = 400) -> dict[str, float]:
    """Held-out figures on people of no split: mean absolute errors, verification accuracy, and R² of the described
    fields.
    """
    for module in networks.modules().values():
        module.eval()
    first = sample_people(count, 4)
    second = other_photo(first, 5)
    scene = Scene(torch.cat([first.values, second.values])).to(device)
    images = render(scene)
    figures: dict[str, float] = {}
    for name, measured in networks.attributes(images).items():
        figures[f"{name}_mae"] = round(float((measured - scene[name]).abs().mean()), 4)
    one, two = networks.embed(images).chunk(2)
    same, other = (one * two).sum(1), (one * two.roll(1, 0)).sum(1)
    figures["verification_accuracy"] = round(verification_accuracy(same, other), 4)
    described, weight = targets_of(scene)
    error = ((networks.describer(images) - described).square() * weight).sum()
    figures["fields_r2"] = round(float(1 - error / ((described - described.mean(0)).square() * weight).sum()), 4)
    for module in networks.modules().values():
        module.train()
    return figures


def verification_accuracy(same: Tensor, other: Tensor) -> float:
    """Best balanced accuracy of one threshold on similarities of same (N,) and different (N,) pairs."""
    thresholds = torch.cat([same, other])
    accuracies = ((same[:, None] >= thresholds).float().mean(0) + (other[:, None] < thresholds).float().mean(0)) / 2
    return float(accuracies.max())
