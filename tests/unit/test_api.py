"""The example of the README's API section, as written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench.api import load_direction, load_images, load_method, save_image
from bench.core.errors import ImageError, MissingError, UsageError
from bench.world import open_world


def test_one_image_is_edited_and_saved(tmp_path: Path) -> None:
    method = load_method("warpres", weights="synthetic")
    world = open_world("test", 1)
    images = torch.from_numpy(world.read(world.images[0]).copy()).permute(2, 0, 1)[None] / 127.5 - 1
    pose = load_direction("pose", method)
    inversion = method.invert(images)
    plain, edited = method.edit(inversion)[0], method.edit(inversion, 3 * pose.vector)[0]
    assert torch.allclose(pose.delta(inversion.codes, 3.0)[0], 3 * pose.vector)
    assert float((plain - edited).abs().mean()) > 0.01
    pixels = ((edited.clamp(-1, 1) + 1) * 127.5).byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(tmp_path / "edited.png")
    assert np.asarray(Image.open(tmp_path / "edited.png")).shape == (64, 64, 3)


def test_what_is_not_here_says_what_gets_it() -> None:
    with pytest.raises(MissingError, match="e4e-faces is not here"):
        load_method("e4e")
    with pytest.raises(UsageError, match="no weights come with"):
        load_method("e4e", weights="celebahq")
    with pytest.raises(UsageError, match="did you mean pose"):
        load_direction("posse", load_method("e4e", weights="synthetic"))


def test_pixels_of_0_to_255_are_refused_with_what_to_do() -> None:
    method = load_method("styleres", weights="synthetic")
    for images in (torch.full((1, 3, 64, 64), 200.0), torch.full((1, 3, 64, 64), 200, dtype=torch.uint8)):
        with pytest.raises(UsageError, match=r"up to 200, expected floats in \[-1, 1\]") as error:
            method.invert(images)
        assert error.value.next_step.startswith("images / 127.5 - 1")


def test_images_come_as_the_method_takes_them_or_are_refused(tmp_path: Path) -> None:
    method = load_method("e4e", weights="synthetic")
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    images = load_images([tmp_path / "a.png"], method)
    assert images.dtype == torch.float32 and images.shape == (1, 3, 64, 64)
    assert np.array_equal(np.asarray(Image.open(save_image(images[0], tmp_path / "b.png"))), pixels)
    Image.new("RGB", (96, 64)).save(tmp_path / "wide.png")
    with pytest.raises(ImageError, match="96x64 pixels, not square"):
        load_images([tmp_path / "wide.png"], method)
