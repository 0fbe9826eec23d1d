"""The renderer: golden images, independence of batch and chunk, and details that stay off the generator's scenes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from bench.world.render import render, to_uint8
from bench.world.scene import FACE_FIELDS, FIELDS, SWITCHES, other_photo, sample_people, scene_of_latent

GOLDEN = Path(__file__).parent / "golden_faces.npz"


def test_golden_images() -> None:
    """Eight people as they looked when the shipped networks were trained: a changed renderer is another world."""
    golden = np.load(GOLDEN)["pictures"].astype(int)
    now = to_uint8(render(sample_people(8, 123))).numpy().astype(int)
    difference = np.abs(now - golden)
    assert difference.mean() < 0.05
    assert (difference > 2).mean() < 0.001


def test_image_does_not_depend_on_its_batch() -> None:
    scene = sample_people(7, 5)
    together = render(scene, chunk=7)
    alone = torch.cat([render(scene[i : i + 1]) for i in range(7)])
    assert torch.allclose(render(scene, chunk=2), together, rtol=0, atol=1e-6)
    assert torch.allclose(alone, together, rtol=0, atol=1e-6)


def test_range_shape_and_no_nan() -> None:
    images = render(scene_of_latent(torch.randn(16, 64)))
    assert images.shape == (16, 3, 64, 64)
    assert torch.isfinite(images).all()
    assert images.min() >= -1
    assert images.max() <= 1


@pytest.mark.parametrize("switch", SWITCHES)
def test_every_detail_shows_and_is_absent_from_latent_scenes(switch: str) -> None:
    scene = sample_people(6, 9).without_details()
    assert not torch.equal(render(scene), render(scene.with_fields(**{switch: 1.0})))
    assert (scene_of_latent(torch.randn(50, 64))[switch] <= 0.5).all()


def test_latent_covers_the_ranges() -> None:
    scene = scene_of_latent(torch.randn(4000, 64, generator=torch.Generator().manual_seed(0)))
    for name, (low, high) in FACE_FIELDS.items():
        value = scene[name]
        assert low <= float(value.min()) < low + 0.1 * (high - low)
        assert high - 0.1 * (high - low) < float(value.max()) <= high


def test_people_are_seeded_and_half_smile() -> None:
    first, again = sample_people(40, 3), sample_people(40, 3)
    assert torch.equal(first.values, again.values)
    smiling = [first.attributes(i)["Smiling"] for i in range(40)]
    assert smiling.count(1) == 20
    assert first.digest(0) != first.digest(1)
    assert first.digest(0) == again.digest(0)


def test_another_day_keeps_the_person() -> None:
    scene = sample_people(10, 4)
    later = other_photo(scene, 1)
    kept = [name for name in FIELDS if name in ("face_width", "eye_spacing", "paint_hue", "glasses", "skin_tone")]
    assert all(torch.equal(scene[name], later[name]) for name in kept)
    assert not torch.equal(scene["yaw"], later["yaw"])
