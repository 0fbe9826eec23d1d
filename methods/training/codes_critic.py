"""The discriminator of w that keeps an encoder's codes near the generator's own ("e4e" card 11)."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from methods.training import losses
from methods.training.optimisers import fastest
from methods.training.recipe import Recipe
from methods.training.task import Context


class Trained(Protocol):
    """What the discriminator asks of a task, whose modules and optimisers it joins."""

    average: Tensor
    recipe: Recipe
    context: Context
    modules: dict[str, nn.Module]
    optimisers: dict[str, torch.optim.Optimizer]


class LatentDiscriminator(nn.Sequential):
    """Tells the generator's w from encoded rows: a four-layer perceptron, (M, D) -> (M, 1)."""

    def __init__(self, dim: int, width: int = 128) -> None:
        super().__init__(
            nn.Linear(dim, width), nn.LeakyReLU(0.2), nn.Linear(width, width), nn.LeakyReLU(0.2),
            nn.Linear(width, width), nn.LeakyReLU(0.2), nn.Linear(width, 1),
        )  # fmt: skip


class CodesCritic:
    """The discriminator of w that keeps codes near the generator's own ("e4e" card 11), in its own optimiser."""

    def __init__(self, task: Trained) -> None:
        self.context = task.context
        self.network = LatentDiscriminator(task.average.numel()).to(task.context.device)
        self.optimiser = torch.optim.Adam(
            [{"params": list(self.network.parameters()), "rate_factor": 0.2}],
            lr=task.recipe.rate,
            **fastest(task.context.device),
        )
        task.modules["codes_critic"], task.optimisers["codes_critic"] = self.network, self.optimiser

    def fooled(self, codes: Tensor) -> Tensor:
        """The loss of codes (N, L, D) that should pass for the generator's, scalar."""
        with self.context.exactly():
            return losses.generator_adversarial(self.network(codes.flatten(0, 1))).mean()

    def step(self, w: Tensor, codes: Tensor) -> Tensor:
        """Learn from the generator's w (N, D) and from codes (N, L, D), both float32 without gradients."""
        with self.context.exactly():
            loss = losses.discriminator_loss(self.network(w), self.network(codes.flatten(0, 1)))
            loss = loss + losses.r1_penalty(self.network, w, 1.0)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.context.processes.average(self.network)
        self.optimiser.step()
        return loss.detach()
