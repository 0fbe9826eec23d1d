"""Crops with cameras: read from EG3D's label file, told where they are missing or wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench.core.contract import CameraDataset
from bench.core.errors import ImageError, MissingError
from bench.data import list_images, open_dataset

CAMERA = [float(number) for number in range(25)]


def crops(root: Path, labels: Any, names: tuple[str, ...] = ("a.jpg", "b.jpg"), file: str = "label.json") -> Path:
    for name in names:
        Image.new("RGB", (8, 8)).save(root / name)
    (root / file).write_text(json.dumps({"labels": labels}))
    return root


@pytest.mark.parametrize("file", ["label.json", "dataset.json"])
def test_cameras_are_read_and_images_without_one_told(tmp_path: Path, file: str) -> None:
    # The labels may name a png where the crop is a jpg, as EG3D's own do.
    crops(tmp_path, [["a.png", CAMERA]], file=file)
    listing = list_images("eg3d-crops", tmp_path, "all")
    assert [entry.name for entry in listing.entries] == ["a.png"]
    assert listing.doubts == ["1 images have no camera and are left out, first b"]
    dataset = open_dataset("eg3d-crops", tmp_path, "all")
    assert isinstance(dataset, CameraDataset)
    np.testing.assert_array_equal(dataset.camera(dataset.images[0]), np.arange(25, dtype=np.float32))


def test_other_data_sets_have_no_cameras(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg")
    dataset = open_dataset("folder", tmp_path, "all")
    assert isinstance(dataset, CameraDataset)
    with pytest.raises(ImageError, match="does not say from where it was taken"):
        dataset.camera(dataset.images[0])


@pytest.mark.parametrize(
    ("labels", "fault"),
    [
        ([["a.jpg", CAMERA[:24]]], "the camera of a.jpg is not 25 numbers"),
        ([["a.jpg", [*CAMERA[:24], float("nan")]]], "the camera of a.jpg is not 25 numbers"),
        ([["a.jpg"]], "cannot be read as cameras"),
        ([["a.jpg", CAMERA], ["a.jpg", CAMERA]], "a.jpg is listed twice"),
        ({"a": 1}, "cannot be read as cameras"),
    ],
)
def test_bad_labels_are_named(tmp_path: Path, labels: Any, fault: str) -> None:
    with pytest.raises(MissingError, match=fault):
        list_images("eg3d-crops", crops(tmp_path, labels), "all")


def test_a_folder_without_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"has no label.json or dataset.json"):
        list_images("eg3d-crops", tmp_path, "all")
