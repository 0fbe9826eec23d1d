"""Archives as they unpack: into folders of their own name, beside what systems leave, in any case of their letters."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.core.errors import MissingError
from bench.data import list_images, open_dataset
from bench.data.celeba_files import ANNOTATIONS, MAPPING, read_annotations
from bench.data.check import guess, inspect
from bench.data.splits import celebahq_test

from .conftest import save_image

FACES = celebahq_test()[:3]
CAMERA = [float(number) for number in range(25)]


def celebahq(folder: Path) -> None:
    for face in FACES:
        save_image(folder / "CelebA-HQ-img" / face.name)


def cars(folder: Path) -> None:
    for number in (1, 2, 3):
        save_image(folder / "cars_test" / f"{number:05d}.jpg", size=(24, 32))


def crops(folder: Path) -> None:
    save_image(folder / "a.png")
    (folder / "dataset.json").write_text(json.dumps({"labels": [["a.png", CAMERA]]}))


def labelled(folder: Path) -> None:
    save_image(folder / "a.png")
    (folder / "labels.csv").write_text("name,Smiling\na.png,1\n")


MADE = {"celebahq": celebahq, "stanford-cars": cars, "eg3d-crops": crops, "folder": labelled}


def litter(folder: Path) -> None:
    """What macOS's zip, Windows and a disk station leave beside pictures."""
    for name in ("__MACOSX/CelebA-HQ-img/._2.jpg", "__MACOSX/cars_test/00009.jpg", "@eaDir/a.png/THUMB.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    for path in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        (path / "Thumbs.db").write_bytes(b"x")
        (path / "._2.jpg").write_bytes(b"x")
        (path / ".DS_Store").write_bytes(b"x")


@pytest.mark.parametrize("kind", list(MADE))
@pytest.mark.parametrize("inner", [".", "archive", "archive/archive"])
def test_every_kind_is_found_where_an_archive_unpacks_it(tmp_path: Path, kind: str, inner: str) -> None:
    (tmp_path / inner).mkdir(parents=True, exist_ok=True)
    MADE[kind](tmp_path / inner)
    litter(tmp_path)
    listing = list_images(kind, tmp_path, "test")
    present = [entry for entry in listing.entries if entry.path]
    assert len(present) == {"celebahq": 3, "stanford-cars": 3}.get(kind, 1)
    assert all(tmp_path / inner in entry.path.parents for entry in present if entry.path)
    if kind == "folder":
        assert present[0].attributes == {"Smiling": 1}
    if inner != ".":
        assert any(inner in note for note in listing.notes)
    assert ".db" in " ".join(inspect(kind, tmp_path).there)
    if kind in ("celebahq", "stanford-cars"):
        assert guess(tmp_path) == kind


@pytest.mark.parametrize("inner", ["CelebAMask-HQ/CelebAMask-HQ", "CelebAMask-HQ", "x/CelebAMask-HQ"])
def test_celebahq_with_its_text_files_in_a_folder_of_its_own_name(tmp_path: Path, inner: str) -> None:
    celebahq(tmp_path / inner)
    rows = "".join(f"{face.name} {face.smiling} 1\r\n" for face in FACES)
    (tmp_path / inner / ANNOTATIONS).write_bytes(f"\ufeff3\r\nSmiling Young\r\n{rows}".encode())
    (tmp_path / inner / MAPPING).write_text("".join(f"{face.index} {face.celeba - 1}\n" for face in FACES))
    data = open_dataset("celebahq", tmp_path)
    assert [image.name for image in data.images] == [face.name for face in FACES]
    assert data.attributes == {"Smiling", "Young"}


def test_images_and_text_files_a_folder_apart(tmp_path: Path) -> None:
    celebahq(tmp_path / "CelebAMask-HQ")
    rows = [f"{face.name} {face.smiling} 1\n" for face in celebahq_test()]
    (tmp_path / ANNOTATIONS).write_text("".join(["Smiling Young\n", *rows]))
    assert open_dataset("celebahq", tmp_path, limit=3).attributes == {"Smiling", "Young"}


@pytest.mark.parametrize("naming", ["{}.JPG", "{:06d}.jpg", "{:05d}.Png"])
def test_names_of_another_case_and_length(tmp_path: Path, naming: str) -> None:
    for face in FACES:
        path = save_image(tmp_path / "celeba-hq-IMG" / face.name)
        path.rename(path.with_name(naming.format(face.index)))
    rows = [f"{face.name} {face.smiling}\n" for face in celebahq_test()]
    (tmp_path / ANNOTATIONS.upper()).write_text("".join(["Smiling\n", *rows]))
    listing = list_images("celebahq", tmp_path)
    assert [entry.name for entry in listing.entries if entry.path] == [face.name for face in FACES]
    assert not any(ANNOTATIONS in note for note in listing.notes)
    assert guess(tmp_path) == "celebahq"


@pytest.mark.parametrize("naming", ["{}.jpg", "{:06d}.JPG"])
def test_cars_numbered_with_other_zeros(tmp_path: Path, naming: str) -> None:
    for number in (1, 12):
        path = save_image(tmp_path / "Cars_Test" / "a.jpg")
        path.rename(path.with_name(naming.format(number)))
    listing = list_images("stanford-cars", tmp_path)
    assert [entry.name for entry in listing.entries if entry.path] == ["00001.jpg", "00012.jpg"]


def test_several_copies_are_not_chosen_from(tmp_path: Path) -> None:
    cars(tmp_path / "one")
    cars(tmp_path / "two")
    assert not any(entry.path for entry in list_images("stanford-cars", tmp_path).entries)


@pytest.mark.parametrize("kind", ["celebahq", "stanford-cars", "folder"])
def test_what_lies_there_instead_is_named(tmp_path: Path, kind: str) -> None:
    (tmp_path / "frames").mkdir()
    (tmp_path / "film.mp4").write_bytes(b"x")
    there = "1 folder \\(frames\\), 1 .mp4"
    with pytest.raises(MissingError, match=f"there instead: {there}"):
        open_dataset(kind, tmp_path)
    assert f"instead: {there}".replace("\\", "") in inspect(kind, tmp_path).problems


@pytest.mark.parametrize(
    ("text", "files", "labelled"),
    [
        ("name,Smiling\n123.jpg,1\n", ["000123.jpg"], "000123.jpg"),
        ("name,Smiling\n000123.jpg,1\n", ["123.JPG"], "123.JPG"),
        ("name,Smiling\nface,1\n", ["face.png"], "face.png"),
        ("name,Smiling\nface.png,1\n", ["face.jpg"], "face.jpg"),
        ("name,Smiling\nface.v2,1\n", ["face.v2.jpg"], "face.v2.jpg"),
    ],
)
def test_labels_by_other_spellings_of_a_name(tmp_path: Path, text: str, files: list[str], labelled: str) -> None:
    for name in files:
        save_image(tmp_path / "a.png").rename(tmp_path / name)
    (tmp_path / "Labels.csv").write_text(text)
    assert {entry.name: entry.attributes for entry in list_images("folder", tmp_path, "all").entries} == {
        labelled: {"Smiling": 1}
    }


def test_a_spelling_that_fits_two_pictures_gives_neither_a_label(tmp_path: Path) -> None:
    for name in ("7.jpg", "007.png"):
        save_image(tmp_path / name)
    (tmp_path / "labels.csv").write_text("name,Smiling\n07.jpg,1\n")
    listing = list_images("folder", tmp_path, "all")
    assert listing.missing == ["07.jpg"]
    assert [entry.attributes for entry in listing.entries if entry.path] == [{}, {}]


def test_label_files_that_are_not_read_are_named(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        labelled(tmp_path / name)
    assert "2 files are not used: 2 .csv" in " ".join(inspect("folder", tmp_path, "all").there)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("\ufeff30000\r\nSmiling\r\n0.jpg 1\r\n", "line 1 promises 30000 rows, there are 1"),
        ("0\nSmiling\n0.jpg 1\n", "line 1 promises 0 rows, there are 1"),
        ("2\r\nSmiling Young\r\n0.jpg 1\r\n1.jpg 1\r\n", "line 3: the header names 2 attributes, 0.jpg has 1"),
        ("1\nSmiling Smiling\n0.jpg 1 -1\n", "line 2: Smiling is named twice"),
    ],
)
def test_an_attribute_list_that_contradicts_its_head(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / ANNOTATIONS
    path.write_bytes(text.encode())
    with pytest.raises(MissingError, match=fault):
        read_annotations(path)
