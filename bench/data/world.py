"""The embedded world as a kind of data set: it is drawn, and offers networks, observers and weights of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bench.data.listing import Kind

if TYPE_CHECKING:
    from bench.world.dataset import SyntheticFaces
    from bench.world.networks import WorldNetworks


def _draw(split: str, limit: int | None) -> SyntheticFaces:
    from bench.world import open_world

    return open_world(split, limit)


def _networks(device: str) -> WorldNetworks:
    from bench.world.networks import load_world_networks

    return load_world_networks(device=device)


KINDS = (
    Kind(
        name="synthetic",
        domain="faces",
        splits=("test", "val", "train"),
        source="comes with the package",
        draw=_draw,
        networks=_networks,
        observers="bench.run.truth:observers",
        validation="val",
        weights=Path(__file__).parents[1] / "world" / "weights",
        generator_size=64,
    ),
)
