"""What a training is made of: the `Task`, and the `Context` it is built in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from bench.core import device
from methods.training.processes import Processes

ON_REAL_IMAGES = ("full_size", "own_encoder", "own_residual")  # tasks that want `Context.data`


@dataclass(frozen=True)
class Context:
    """Where a training runs.

    Attributes:
        runs: Folder of all training runs: what earlier ones made is found there.
        device: Of everything that computes. Random numbers are always drawn on the CPU and moved, so that batches are
            equal on every device.
        processes: Who shares this training.
        data: Folder or archive of images, for tasks that train on real ones.
        shipped: The finished file that the training goes on from, in the place of its recipe's starts.
    """

    runs: Path
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    processes: Processes = field(default_factory=Processes)
    data: Path | None = None
    shipped: Path | None = None

    def exactly(self) -> torch.autocast:
        """Outside of autocast: for codes, losses and copies that have their dtype already."""
        return torch.autocast(self.device.type, enabled=False)


class Task(Protocol):
    """What is trained. `methods.training.tasks.<name>.build(recipe, context)` makes one.

    Attributes:
        modules: Everything that changes, by name: saved, restored, broadcast; `step` averages their gradients.
        optimisers: By name; their rate is set by the loop from the recipe (times a group's "rate_factor").
        given: Digests of what was given to it beside its recipe's `needs` (files, images), by what it is.
    """

    given: Mapping[str, str] = {}
    modules: dict[str, nn.Module]
    optimisers: dict[str, torch.optim.Optimizer]

    def step(self, step: int, random: torch.Generator) -> Mapping[str, Tensor]:
        """One step: draw the global batch from `random` (a CPU generator of seed and step), take this process's part,
        step the optimisers.

        Returns:
            Losses, weighted and detached, by name; figures that are no losses have a slash in their name
            ("gradient/l2").
        """
        ...

    def check(self) -> Mapping[str, float]:
        """Held-out figures."""
        ...

    def samples(self) -> Mapping[str, Tensor]:
        """Sample grids by name, float (3, H, W) in [0, 1]."""
        return {}

    def exported(self) -> Mapping[str, nn.Module]:
        """What `export` writes of what is trained, by the prefix of its tensors: what a finished file can be gone on
        from. Empty where none can.
        """
        return {}

    def export(self, path: Path, provenance: Mapping[str, Any]) -> None:
        """Write the result, with how it was made in its metadata."""
        ...


def choose_device(name: str) -> torch.device:
    """The device of a name, see `bench.core.device`."""
    return torch.device(device.choose_device(name))
