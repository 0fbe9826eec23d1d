"""How images are kept: rounding, resizing, JPEG."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from bench.core.errors import ImageError
from metrics.images import finite, store, to_uint8
from metrics.protocol import ImageRules, load_protocol
from tests.unit.metrics.reference import images_u8, u8

PAPER = load_protocol("paper-1").images
STANDARD = load_protocol("standard-1").images


def with_resize(resize: str) -> ImageRules:
    return ImageRules("stored", resize, (64, 64), (48, 64), "memory", "round")  # type: ignore[arg-type]


def test_rounding_rules() -> None:
    levels = torch.tensor([-1.5, -1.0, -1 + 0.9 / 127.5, 0.0, 1.0, 2.0]).view(1, 1, 1, -1).expand(2, 3, 1, -1)
    assert to_uint8(levels, "truncate")[1, 0, :, 0].tolist() == [0, 0, 0, 127, 255, 255]
    assert to_uint8(levels, "round")[1, 0, :, 0].tolist() == [0, 0, 1, 128, 255, 255]


def test_bytes_survive_the_round_trip() -> None:
    images = np.stack(images_u8(0, 2, 80))
    signed = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
    assert np.array_equal(to_uint8(signed, "round"), images)
    # Truncation may lose a level to float rounding, never more.
    assert np.abs(to_uint8(signed, "truncate").astype(int) - images).max() <= 1


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_is_refused(value: float) -> None:
    images = torch.zeros(2, 3, 8, 8)
    images[1, 1, 2, 3] = value
    assert finite(images) == [True, False]
    with pytest.raises(ImageError, match="NaN"):
        to_uint8(images, "round")


def test_large_numbers_are_finite() -> None:
    assert finite(torch.full((1, 3, 8, 8), 3e38)) == [True]


def test_paper_images_are_the_files_of_its_scripts() -> None:
    """PIL bicubic to 256, saved as .jpg with PIL's defaults, opened again."""
    image = images_u8(3, 1, 512)[0]
    file = io.BytesIO()
    Image.fromarray(image).resize((256, 256), Image.Resampling.BICUBIC).save(file, "JPEG")
    expected = np.asarray(Image.open(file))
    assert np.array_equal(store(image, PAPER.size("faces"), PAPER), expected)


def test_standard_images_are_lossless() -> None:
    image = images_u8(3, 1, 256)[0]
    assert np.array_equal(store(image, STANDARD.size("faces"), STANDARD), image)
    cars = store(image, STANDARD.size("cars"), STANDARD)
    assert cars.shape == (192, 256, 3)


def test_other_filters() -> None:
    image = np.zeros((256, 256, 3), np.uint8)
    image[1::4, 1::4] = 200
    # Without antialias a reduction by four is the mean of the central 2x2 pixels.
    assert (store(image, (64, 64), with_resize("tensor_bilinear")) == 50).all()
    smooth = u8(np.linspace(-1, 1, 256)[None, None].repeat(3, 0).repeat(256, 1)).transpose(1, 2, 0).copy()
    nearest = store(smooth, (64, 64), with_resize("nearest"))
    assert set(np.unique(nearest)) <= set(np.unique(smooth))
    bicubic = store(image, (64, 64), with_resize("pil_bicubic"))
    assert bicubic.std() > 0 or bicubic.mean() == pytest.approx(200 / 16, abs=1)


@pytest.mark.parametrize(
    "bad", [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8), np.zeros((8, 8, 3), np.float32)]
)
def test_anything_else_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(ImageError):
        store(bad, (8, 8), STANDARD)
