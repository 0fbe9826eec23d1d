"""The discriminator of w that keeps an encoder's codes near the generator's own ("e4e" card 11)."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from methods.training import losses
from methods.training.recipe import Recipe
from methods.training.task import Context
from methods.training.tasks.encoder import LatentDiscriminator


class Trained(Protocol):
    """What the discriminator asks of a task, whose modules and optimisers it joins."""

    average: Tensor
    device: torch.device
    recipe: Recipe
    context: Context
    modules: dict[str, nn.Module]
    optimisers: dict[str, torch.optim.Optimizer]


class CodesCritic:
    """The discriminator of w that keeps codes near the generator's own ("e4e" card 11), in its own optimiser."""

    def __init__(self, task: Trained) -> None:
        self.network = LatentDiscriminator(task.average.numel()).to(task.device)
        self.processes = task.context.processes
        self.optimiser = torch.optim.Adam(
            [{"params": list(self.network.parameters()), "rate_factor": 0.2}], lr=task.recipe.rate
        )
        task.modules["codes_critic"], task.optimisers["codes_critic"] = self.network, self.optimiser

    def fooled(self, codes: Tensor) -> Tensor:
        """The loss of codes (N, L, D) that should pass for the generator's, scalar."""
        with torch.autocast(codes.device.type, enabled=False):
            return losses.generator_adversarial(self.network(codes.flatten(0, 1))).mean()

    def step(self, w: Tensor, codes: Tensor) -> Tensor:
        """Learn from the generator's w (N, D) and from codes (N, L, D), both float32 without gradients."""
        with torch.autocast(w.device.type, enabled=False):
            loss = losses.discriminator_loss(self.network(w), self.network(codes.flatten(0, 1)))
            loss = loss + losses.r1_penalty(self.network, w, 1.0)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.processes.average(self.network)
        self.optimiser.step()
        return loss.detach()
