"""The world's people: who is in train, val and test. The generator never sees any of them, only scenes without
details.
"""

from __future__ import annotations

from functools import lru_cache

from bench.core.errors import unknown_name
from bench.world.scene import Scene, sample_people

SPLITS = {"train": (20_000, 1), "val": (500, 2), "test": (600, 3)}  # name -> (people, seed)


@lru_cache(maxsize=4)
def people(split: str) -> Scene:
    """All scenes of a split, in order; one image a person, half of them smiling."""
    if split not in SPLITS:
        raise unknown_name("split", split, list(SPLITS))
    count, seed = SPLITS[split]
    return sample_people(count, seed)
