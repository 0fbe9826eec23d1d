"""Five steps of a training, for the test that two processes equal one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from methods.nets.stylegan2 import Discriminator
from methods.nets.stylegan2.discriminator import DiscriminatorConfig
from methods.training import losses
from methods.training.loop import train
from methods.training.processes import Processes
from methods.training.recipe import Recipe
from methods.training.task import Context, Task

RECIPE = Recipe(name="both", task="both", seed=3, steps=5, batch=16, rate=1e-3, output="both.pt")


class Both(Task):
    """A network with batch norms and a contrastive loss, and a discriminator with R1 and minibatch deviations."""

    def __init__(self, context: Context) -> None:
        # Rank 1 starts elsewhere: the broadcast makes it rank 0's.
        torch.manual_seed(context.processes.rank)
        self.processes = context.processes
        self.net = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.LeakyReLU(0.1), nn.Flatten(), nn.Linear(8 * 64, 8)
        )
        self.discriminator = Discriminator(DiscriminatorConfig(size=16, channels={4: 8, 8: 8, 16: 8}))
        self.modules = {"net": self.net, "discriminator": self.discriminator}
        self.optimisers = {
            name: torch.optim.Adam(module.parameters(), betas=(0.9, 0.99), eps=1e-3)
            for name, module in self.modules.items()
        }

    def step(self, step: int, random: torch.Generator) -> Mapping[str, Tensor]:
        first, second = (self.processes.part(torch.randn(16, 3, 16, 16, generator=random)) for _ in range(2))
        rows = [self.processes.gather(nn.functional.normalize(self.net(half), dim=1)) for half in (first, second)]
        logits = rows[0] @ rows[1].T / 0.1
        parts = {"contrast": nn.functional.cross_entropy(logits, torch.arange(len(logits)))}
        critic = losses.discriminator_loss(self.discriminator(first), self.discriminator(second))
        parts["discriminator"] = critic + losses.r1_penalty(self.discriminator, first, 1.0)
        for name, value in zip(self.modules, parts.values(), strict=True):
            self.optimisers[name].zero_grad(set_to_none=True)
            value.backward()
            self.processes.average(self.modules[name])
            self.optimisers[name].step()
        return {name: value.detach() for name, value in parts.items()}

    def check(self) -> Mapping[str, float]:
        return {}

    def export(self, path: Path, provenance: Mapping[str, Any]) -> None:
        torch.save({name: module.state_dict() for name, module in self.modules.items()}, path)


def share(folder: Path) -> None:
    """Train in `folder`, alone or as torchrun says."""
    torch.set_num_threads(1)
    processes = Processes.join(torch.device("cpu"))
    context = Context(folder, processes=processes)
    train(Both(context), RECIPE, folder, context)
    processes.leave()
