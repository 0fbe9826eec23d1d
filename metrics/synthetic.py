"""Columns of the `synthetic` protocols, measured by the synthetic world's own networks; not to be taken for the
paper's.

The networks are handed to `load_evaluator(..., world=...)`: metrics know no world, only its interface
(`metrics.columns.World`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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


def world_maps(world: World, batch: Batch) -> Sequence[Tensor]:
    """Feature maps of a batch, looked at once for the perceptual and the Fréchet distance."""
    return batch.once("world_maps", lambda: world.features(batch.signed))


@kind("world_perceptual")
@dataclass(frozen=True)
class WorldPerceptual:
    """Perceptual distance column on the world's feature network; 0 to 4, lower is better."""

    def needs(self) -> tuple[str, ...]:
        """The world's networks."""
        return ("world",)

    def prepare(self, resources: Resources) -> Pair:
        """Features of the world's describer and their distance."""
        world = resources.need_world()

        def make() -> Extractor:
            def extract(batch: Batch) -> Sequence[list[Tensor]]:
                maps = unit_maps(world_maps(world, batch))
                return [[feature[i : i + 1] for feature in maps] for i in range(len(batch.pixels))]

            return extract

        def compare(generated: Sequence[list[Tensor]], original: Sequence[list[Tensor]]) -> list[float]:
            found = [map_distance(a, b) for a, b in zip(generated, original, strict=True)]
            return torch.cat(found).tolist()

        return Pair(resources.features("world_perceptual", make), compare)


@kind("world_identity")
@dataclass(frozen=True)
class WorldIdentity:
    """Identity similarity column on the world's embedder; cosine, -1 to 1, higher is better."""

    def needs(self) -> tuple[str, ...]:
        """The world's networks."""
        return ("world",)

    def prepare(self, resources: Resources) -> Pair:
        """Embeddings of the world's network and their cosine."""
        world = resources.need_world()
        key = resources.features(
            "world_identity", lambda: lambda batch: list(world.embed(batch.signed).cpu().double().numpy())
        )
        return Pair(key, lambda made, real: [float(a @ b) for a, b in zip(made, real, strict=True)])
