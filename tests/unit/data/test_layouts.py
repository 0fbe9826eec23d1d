"""Folders as people have them: what is found in them, and what is not used is counted and named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from bench.core.errors import MissingError
from bench.data import list_images
from bench.data.check import guess, inspect, quick
from bench.data.images import FileImage
from bench.data.listing import image_files
from bench.data.scan import unused


def picture(path: Path, size: tuple[int, int] = (32, 32)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path, "PNG" if path.suffix == ".png" else "JPEG")
    return path


def names(root: Path, kind: str = "folder", split: str = "all") -> list[str]:
    return [entry.name for entry in list_images(kind, root, split).entries if entry.path]


def test_what_is_not_used_is_counted_and_named(tmp_path: Path) -> None:
    picture(tmp_path / "a.PNG".replace("PNG", "JPG"))
    for suffix in ("jfif", "gif", "avif", "pgm", "jp2", "heic", "HEIC"):
        (tmp_path / f"{suffix}.{suffix}").write_bytes(b"x")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "broken.png").symlink_to("nowhere")
    report = inspect("folder", tmp_path, "all")
    line = next(line for line in report.there if "not used" in line)
    assert line.startswith("there: 9 files are not used: 2 .heic")
    for kind in (".jfif", ".gif", ".avif", ".pgm", ".jp2", "no regular files", "broken links"):
        assert kind in line
    assert names(tmp_path) == ["a.JPG"]


def test_a_pipe_called_like_a_picture_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    found = quick([FileImage("x.png", tmp_path / "x.png"), FileImage("zero.png", tmp_path / "zero.png")])
    assert len(found) == 2 and all("no regular file" in line for line in found)


def test_linked_folders_are_looked_into_once(tmp_path: Path) -> None:
    picture(tmp_path / "elsewhere" / "deep" / "b.png")
    root = tmp_path / "root"
    picture(root / "a.png")
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "linked2").mkdir()
    (root / "linked2" / "back").symlink_to(root)
    assert names(root) == ["a.png", "linked/deep/b.png"]
    assert unused(root, [root / "a.png", root / "linked/deep/b.png"]) == ""


@pytest.mark.parametrize(
    "text",
    [
        "name,Smiling\na.png,1\nb/c.png,-1\n\n",
        "\ufeffname, Smiling\r\na.png, 1\r\nb\\c.png , -1\r\n",
        "name;Smiling\n./a.png;1\n\nb\\c.png;-1\n;\n",
        "name\tSmiling\nA.PNG\t+1\nB/C.png\t-1\n",
    ],
)
def test_label_files_as_people_write_them(tmp_path: Path, text: str) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / "b" / "c.png")
    (tmp_path / "labels.csv").write_bytes(text.encode())
    listing = list_images("folder", tmp_path, "all")
    assert {entry.name: entry.attributes for entry in listing.entries} == {
        "a.png": {"Smiling": 1},
        "b/c.png": {"Smiling": -1},
    }
    assert not listing.missing


def test_metadata_of_an_image_folder_gives_its_labels(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    (tmp_path / "metadata.csv").write_text('text,file_name,Smiling\n"a, face",a.png,1\n')
    listing = list_images("folder", tmp_path, "all")
    assert listing.entries[0].attributes == {"Smiling": 1} and "metadata.csv" in listing.notes[0]
    for wrong, fault in (("nan", "line 4: expected a name and 1 labels"), ("", "line 4"), ("1,1", "expected 2 fields")):
        (tmp_path / "metadata.csv").write_text(f"file_name,Smiling\na.png,1\nb.png,-1\nc.png,{wrong}\n")
        with pytest.raises(MissingError, match=fault):
            list_images("folder", tmp_path, "all")
    (tmp_path / "metadata.csv").write_text("image,Smiling\na.png,1\n")
    with pytest.raises(MissingError, match="no column file_name"):
        list_images("folder", tmp_path, "all")


@pytest.mark.parametrize("inner", ["", "cars_test/", "archive/"])
@pytest.mark.parametrize("suffix", ["jpg", "png", "JPG"])
def test_cars_as_kaggle_packs_them(tmp_path: Path, inner: str, suffix: str) -> None:
    folder = tmp_path / "archive" / "cars_test" if inner == "archive/" else tmp_path / "cars_test" / inner
    for number in (1, 2):
        picture(folder / f"{number:05d}.{suffix}", (64, 48))
    listing = list_images("stanford-cars", tmp_path, "test")
    assert [entry.name for entry in listing.entries if entry.path] == ["00001.jpg", "00002.jpg"]
    assert len(listing.entries) == 8041


def test_numbers_alone_make_no_cars(tmp_path: Path) -> None:
    for number in range(2, 6):
        picture(tmp_path / f"{number:05d}.png")
    assert guess(tmp_path) == "folder"


def test_the_folder_above_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inside").mkdir()
    monkeypatch.chdir(tmp_path / "inside")
    assert image_files(Path("..")) == []
    (tmp_path / tmp_path.name).mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / tmp_path.name / "a.png")
    assert [path.name for path in image_files(Path(".."))] == ["a.png"]
