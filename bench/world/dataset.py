"""The world as a data set: images rendered when read, each with its scene."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.core.contract import Domain, ImageRecord
from bench.core.errors import UsageError
from bench.world.render import render, to_uint8
from bench.world.scene import Scene
from bench.world.splits import SPLITS, people


class SyntheticFaces:
    """People of a split with all their details, 64 px; names as on disk ("0.jpg" ... in the order of the splits)."""

    name = "synthetic-faces"
    domain: Domain = "faces"
    counted = True

    def __init__(self, split: str = "test", limit: int | None = None) -> None:
        scenes, first = people(split), first_number(split)
        count = len(scenes) if limit is None else min(limit, len(scenes))
        self.images: Sequence[ImageRecord] = [
            ImageRecord(f"{first + row}.jpg", scenes.digest(row), scenes.attributes(row)) for row in range(count)
        ]

    def read(self, image: ImageRecord) -> np.ndarray:
        """Pixels uint8 (64, 64, 3)."""
        return drawn(image.name)


def drawn(name: str) -> np.ndarray:
    """Pixels uint8 (64, 64, 3) of an image by its name."""
    return to_uint8(render(scene_of(name)))[0].numpy()


def first_number(split: str) -> int:
    """File number of a split's first image: the splits follow one another, as on disk."""
    people(split)  # an unknown split is named here
    names = list(SPLITS)
    return sum(SPLITS[name][0] for name in names[: names.index(split)])


def scene_of(name: str) -> Scene:
    """The scene (a batch of one) behind an image's name, whatever its split."""
    number = int(name.partition(".")[0])
    for split, (count, _) in SPLITS.items():
        if number < count:
            return Scene(people(split).values[number : number + 1])
        number -= count
    raise UsageError(f"the synthetic world has no image {name}", f"splits: {', '.join(SPLITS)}")
