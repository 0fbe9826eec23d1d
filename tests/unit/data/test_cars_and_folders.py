"""Stanford Cars' three layouts and plain folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from bench.core.errors import ImageError, MissingError, UsageError
from bench.data import list_images, open_dataset

from .conftest import save_image

SHARED = Path(__file__).parents[4] / "shared" / "data" / "cars"


@pytest.mark.parametrize("inner", [".", "stanford_cars"])
def test_two_folders(tmp_path: Path, inner: str) -> None:
    for number in range(1, 4):
        save_image(tmp_path / inner / "cars_test" / f"{number:05d}.jpg")
    save_image(tmp_path / inner / "cars_train" / "00001.jpg")
    data = open_dataset("cars", tmp_path, limit=3)
    assert (data.name, data.domain) == ("stanford-cars", "cars")
    assert [image.name for image in data.images] == ["00001.jpg", "00002.jpg", "00003.jpg"]
    assert len(list_images("stanford-cars", tmp_path).entries) == 8041
    assert len(list_images("stanford-cars", tmp_path, "train").missing) == 8143
    both = open_dataset("cars", tmp_path, "all")
    assert [image.name for image in both.images] == [
        "train-00001.jpg",
        "test-00001.jpg",
        "test-00002.jpg",
        "test-00003.jpg",
    ]


def annotations(path: Path, marks: dict[str, int]) -> None:
    rows = np.array(
        [(f"car_ims/{name}", mark) for name, mark in marks.items()], dtype=[("relative_im_path", "O"), ("test", "O")]
    )
    savemat(path, {"annotations": rows})


def test_one_folder_with_annotations(tmp_path: Path) -> None:
    marks = {"000001.jpg": 0, "000002.jpg": 1, "000003.jpg": 1}
    for name in marks:
        save_image(tmp_path / "car_ims" / name)
    with pytest.raises(MissingError, match=r"cars_annos\.mat: missing"):
        open_dataset("cars", tmp_path)
    annotations(tmp_path / "cars_annos.mat", marks)
    assert [image.name for image in open_dataset("cars", tmp_path).images] == ["000002.jpg", "000003.jpg"]
    assert list_images("cars", tmp_path).doubts == ["cars_annos.mat marks 2 test images, expected 8041"]
    (tmp_path / "cars_annos.mat").write_bytes(b"no mat file")
    with pytest.raises(MissingError, match=r"cannot be read as cars_annos\.mat \(it is no MATLAB 5 file\)"):
        open_dataset("cars", tmp_path)


def test_a_plain_folder(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.png", "notes.txt", ".hidden.jpg"):
        (save_image(tmp_path / name) if name.endswith(("jpg", "png")) else (tmp_path / name).touch())
    assert [image.name for image in open_dataset("cars", tmp_path).images] == ["a.png", "b.jpg"]
    with pytest.raises(MissingError, match="has no train split"):
        open_dataset("cars", tmp_path, "train")


def test_numbered_names_in_a_plain_folder_must_be_complete(tmp_path: Path) -> None:
    save_image(tmp_path / "00001.jpg")
    save_image(tmp_path / "00003.jpg")
    with pytest.raises(MissingError, match=r"8039 of 8041 test images are missing: 00002\.jpg"):
        open_dataset("cars", tmp_path)
    assert len(open_dataset("cars", tmp_path, "all").images) == 2


@pytest.mark.skipif(not SHARED.exists(), reason="the real car pictures are not here")
def test_real_cars() -> None:
    data = open_dataset("cars", SHARED)
    assert [data.read(image).ndim for image in data.images] == [3, 3, 3]


def test_folders_are_read_through_with_labels(tmp_path: Path) -> None:
    root = tmp_path / "my pictures é"
    for name in ("b.jpg", "inner/a.png"):
        save_image(root / name)
    assert [image.name for image in open_dataset("folder", root, "all").images] == ["b.jpg", "inner/a.png"]
    (root / "labels.csv").write_text("name,Smiling\nb.jpg,1\ninner/a.png,-1\n")
    data = open_dataset("folder", root)
    assert [image.attributes for image in data.images] == [{"Smiling": 1}, {"Smiling": -1}]
    assert open_dataset("folder-cars", root).domain == "cars"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("name\nb.jpg\n", "wrong header"),
        ("name,Smiling,Smiling\nb.jpg,1,-1\n", "line 1: the column 'Smiling' is there twice"),
        ("name,Smiling\nb.jpg,2\n", "line 2: expected a name and 1 labels"),
        ("name,Smiling\n\nb.jpg,nan\n", "line 3: expected a name and 1 labels"),
        ("name,Smiling\nb.jpg,\n", "line 2: expected a name and 1 labels"),
        ("name,Smiling\nb.jpg,inf\n", "line 2: expected a name and 1 labels"),
        ("name,Smiling\nb.jpg,1\n,1\n", "line 3: no image is named"),
        ("name,Smiling\nb.jpg,1\nb.jpg,1\n", r"line 3: b\.jpg is listed twice"),
        ("name,Smiling\nb.jpg,1\ngone.jpg,1\n", r"1 of 2 all images are missing: gone\.jpg"),
    ],
)
def test_faults_of_labels(tmp_path: Path, text: str, fault: str) -> None:
    save_image(tmp_path / "b.jpg")
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(MissingError, match=fault):
        open_dataset("folder", tmp_path, "all")


def test_an_empty_folder_and_an_unknown_data_set(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no images of folder"):
        open_dataset("folder", tmp_path)
    with pytest.raises(UsageError, match="unknown data set 'celebhq'") as error:
        open_dataset("celebhq", tmp_path)
    assert "celebahq" in error.value.next_step


def test_a_image_of_another_data_set_is_refused(tmp_path: Path) -> None:
    save_image(tmp_path / "one" / "a.jpg")
    save_image(tmp_path / "two" / "b.jpg")
    one, two = open_dataset("folder", tmp_path / "one"), open_dataset("folder", tmp_path / "two")
    with pytest.raises(ImageError, match=r"b\.jpg: no image of folder"):
        one.read(two.images[0])
