"""The world as a data set and on disk: names, digests, the one CelebA-HQ reader, splits that do not overlap."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.core.errors import UsageError
from bench.data import open_dataset
from bench.world import open_world
from bench.world.dataset import scene_of
from bench.world.export import export
from bench.world.splits import SPLITS, people


def test_test_split_is_large_enough_and_half_smiling() -> None:
    world = open_world("test")
    smiling = sum(image.attributes["Smiling"] == 1 for image in world.images)
    assert len(world.images) >= 500
    assert smiling * 2 == len(world.images)


def test_splits_share_nobody() -> None:
    digests = [people(split).digest(row) for split in ("val", "test") for row in range(SPLITS[split][0])]
    assert len(set(digests)) == len(digests)
    train = {people("train").digest(row) for row in range(0, SPLITS["train"][0], 7)}
    assert not train & set(digests)


def test_limit_takes_the_first_and_reading_repeats() -> None:
    world = open_world("test", 3)
    assert [p.name for p in world.images] == [p.name for p in open_world("test").images[:3]]
    assert np.array_equal(world.read(world.images[0]), world.read(world.images[0]))
    assert world.read(world.images[2]).shape == (64, 64, 3)


def test_image_names_lead_back_to_scenes() -> None:
    image = open_world("val").images[5]
    assert scene_of(image.name).digest(0) == image.digest
    with pytest.raises(UsageError, match="no image"):
        scene_of("999999.jpg")


def test_unknown_split_is_named() -> None:
    with pytest.raises(UsageError, match="unknown split"):
        open_world("tests")


def test_export_is_read_by_the_celebahq_reader(tmp_path: Path) -> None:
    count = export(tmp_path / "wörld on disk", split="test", limit=12)
    dataset = open_dataset("celebahq", tmp_path / "wörld on disk", split="test")
    world = open_world("test", 12)
    assert count == len(dataset.images) == 12
    for ours, theirs in zip(world.images, dataset.images, strict=True):
        assert ours.name == theirs.name
        assert ours.attributes["Smiling"] == theirs.attributes["Smiling"]
    difference = world.read(world.images[0]).astype(int) - dataset.read(dataset.images[0]).astype(int)
    assert np.abs(difference).mean() < 3  # JPEG
