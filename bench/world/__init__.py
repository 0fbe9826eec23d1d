"""The embedded world: a procedural scene with known truth, small networks trained on it, and the data set they meet.

`open_world` is imported lazily here so that scenes and renderer stay a leaf that training can use as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.world.dataset import SyntheticFaces


def open_world(split: str = "test", limit: int | None = None) -> SyntheticFaces:
    """The world's images of a split ("train", "val", "test"), the first `limit` of them."""
    from bench.world.dataset import SyntheticFaces

    return SyntheticFaces(split, limit)
