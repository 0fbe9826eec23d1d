"""What a training shows of a method on validation people: how well it reconstructs, and how much of an edit it keeps.

The judges measure (validation people only); no loss ever sees them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from bench.core.checkpoint import read_checkpoint, state_dict_of
from bench.core.contract import Inversion, Method
from bench.world.networks import WEIGHTS, WorldNetworks, load_world_networks
from methods.training.grids import grid
from methods.training.people import People

# Edit of the bench -> the direction's name and the attribute that it changes.
EDITS = {"pose": "yaw", "smile": "smile"}
STRENGTH = 3.0


class HeldOut:
    """The first `count` validation people, and the two edits of the table at both signs."""

    def __init__(self, device: torch.device, runs: Path | None = None, count: int = 48) -> None:
        self.images = People("val", device, runs).images(torch.arange(count))
        self.device = device
        content = read_checkpoint(WEIGHTS / "directions.safetensors")
        self.directions = {name: value.to(device) for name, value in state_dict_of(content).items()}
        self.per_unit: Mapping[str, float] = content["metadata"]["change_per_unit"]

    @cached_property
    def evaluators(self) -> WorldNetworks:
        return load_world_networks(device=self.device)

    @torch.no_grad()
    def figures(self, method: Method, before: Method | None = None) -> dict[str, float]:
        """Mean PSNR (dB) and square error of the reconstruction, and the mean share of the asked change of pose and of
        smile that the judge finds in the edited image; of the method `before` (its predecessor in kind) the PSNR.
        """
        inversion = method.invert(self.images)
        made = method.edit(inversion).clamp(-1, 1)
        error = (made - self.images).square().mean((1, 2, 3))
        found = {"psnr_db": float(decibels(error).mean()), "mse": float(error.mean())}
        for edit, attribute in EDITS.items():
            found[f"kept_{edit}"] = self._kept(method, inversion, attribute)
        if before is not None:
            other = before.edit(before.invert(self.images)).clamp(-1, 1)
            found["psnr_db_before"] = float(decibels((other - self.images).square().mean((1, 2, 3))).mean())
        return {name: round(value, 5) for name, value in found.items()}

    def _kept(self, method: Method, inversion: Inversion, attribute: str) -> float:
        asked, there = STRENGTH * self.per_unit[attribute], self.evaluators.attributes(self.images)[attribute]
        shares = [
            (self.evaluators.attributes(self._edited(method, inversion, attribute, sign))[attribute] - there) / sign
            for sign in (1.0, -1.0)
        ]
        return float(torch.stack(shares).mean()) / asked

    def _edited(self, method: Method, inversion: Inversion, attribute: str, sign: float) -> Tensor:
        direction = sign * STRENGTH * self.directions[attribute]
        return method.edit(inversion, direction.expand(method.latent_rows, -1)).clamp(-1, 1)

    @torch.no_grad()
    def samples(self, method: Method, people: int = 8) -> Tensor:
        """A grid (see `grids.grid`), a person a column: input, reconstruction, pose + and -, smile + and -."""
        images = self.images[:people]
        inversion = method.invert(images)
        rows = [images, method.edit(inversion)]
        rows += [self._edited(method, inversion, name, sign) for name in EDITS.values() for sign in (1.0, -1.0)]
        return grid(*rows)


def decibels(square_error: Tensor) -> Tensor:
    """PSNR in dB of mean square errors of images in [-1, 1]."""
    return 10 * torch.log10(4 / square_error.clamp_min(1e-10))
