"""Columns of `synthetic-1`, measured by the synthetic world's own networks; not to be taken for the paper's.

The networks are handed to `load_evaluator(..., world=...)`: metrics know no world, only its interface
(`metrics.columns.World`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .columns import Batch, Extractor, Pair, Resources, World, kind


def unit_maps(maps: Sequence[Tensor]) -> list[Tensor]:
    """Feature maps (N, C, h, w), each point scaled to length 1 over channels (LPIPS's normalisation)."""
    return [feature / (feature.square().sum(dim=1, keepdim=True).sqrt() + 1e-10) for feature in maps]


def map_distance(first: Sequence[Tensor], second: Sequence[Tensor]) -> Tensor:
    """(N,) perceptual distance of unit maps: squared difference summed over channels, mean over space, mean over maps.

    0 for equal images, at most 4; all channels weigh the same, there are no learned weights.
    """
    each = [(a - b).square().sum(dim=1).mean(dim=(1, 2)) for a, b in zip(first, second, strict=True)]
    return torch.stack(each).mean(dim=0)


def perceptual_distance(world: World, device: torch.device | str = "cpu") -> Callable[[np.ndarray, np.ndarray], float]:
    """A function of two uint8 (h, w, 3) images giving their `lpips@synthetic-1`, for `metrics.truth`."""

    @torch.inference_mode()
    def distance(first: np.ndarray, second: np.ndarray) -> float:
        maps = unit_maps(world.features(Batch([first, second], torch.device(device)).signed))
        return float(map_distance([m[:1] for m in maps], [m[1:] for m in maps]))

    return distance


@kind("world_perceptual")
@dataclass(frozen=True)
class WorldPerceptual:
    """Perceptual distance column on the world's feature network; 0 to 4, lower is better."""

    def needs(self) -> tuple[str, ...]:
        return ("world",)

    def prepare(self, resources: Resources) -> Pair:
        world = resources.need_world()

        def make() -> Extractor:
            def extract(batch: Batch) -> Sequence[list[Tensor]]:
                maps = unit_maps(world.features(batch.signed))
                return [[feature[i : i + 1] for feature in maps] for i in range(len(batch.pixels))]

            return extract

        key = resources.features("world_perceptual", make)
        return Pair(key, lambda generated, original: float(map_distance(generated, original)))


@kind("world_identity")
@dataclass(frozen=True)
class WorldIdentity:
    """Identity similarity column on the world's embedder; cosine, -1 to 1, higher is better."""

    def needs(self) -> tuple[str, ...]:
        return ("world",)

    def prepare(self, resources: Resources) -> Pair:
        world = resources.need_world()
        key = resources.features(
            "world_identity", lambda: lambda batch: list(world.embed(batch.signed).cpu().double().numpy())
        )
        return Pair(key, lambda generated, original: float(generated @ original))
