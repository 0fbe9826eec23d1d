"""`data check`: a line a problem."""

from __future__ import annotations

from pathlib import Path

from bench.data import open_dataset
from bench.data.check import guess, inspect, quick, report
from bench.data.splits import celebahq_test

from .conftest import save_image


def test_a_sound_world_has_no_problems(world: Path) -> None:
    assert not inspect(guess(world), world).problems
    assert report("celebahq", world) == [
        "there: 6 of 6 test images of celebahq",
        "there: a data set of its own in CelebA-HQ's layout",
        "there: images from CelebA-HQ-img/",
    ]


def test_missing_and_unreadable_images_are_named(world: Path) -> None:
    (world / "CelebA-HQ-img" / "7.png").unlink()
    (world / "CelebA-HQ-img" / "9.png").write_bytes(b"")
    whole = (world / "CelebA-HQ-img" / "10.png").read_bytes()
    (world / "CelebA-HQ-img" / "10.png").write_bytes(whole[: len(whole) // 2])
    found = inspect("celebahq", world)
    assert found.there[0] == "there: 5 of 6 test images of celebahq"
    assert found.problems[0] == "missing: 1 images: 7.jpg"
    assert "9.png: is empty" in found.problems[1]
    assert "10.png: cannot be decoded" in found.problems[2]
    assert found.lines[-1].startswith("source: CelebA-HQ comes with CelebAMask-HQ")
    assert len(inspect("celebahq", world, thorough=False).problems) == 2


def test_headers_are_looked_at_before_a_run(world: Path) -> None:
    data = open_dataset("celebahq", world)
    assert quick(data.images) == []
    (world / "CelebA-HQ-img" / "9.png").write_bytes(b"")
    assert len(quick(data.images)) == 1


def test_a_file_that_contradicts_the_data_set_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "CelebAMask-HQ-attribute-anno.txt").write_text("2\nSmiling\n0.jpg 1\n")
    assert inspect(guess(tmp_path), tmp_path).problems[0].endswith("line 1 promises 2 rows, there are 1")


def test_nothing_there(tmp_path: Path) -> None:
    lines = report("celebahq", tmp_path)
    assert lines[0] == f"there: 0 of {len(celebahq_test())} test images of celebahq"
    assert lines[-3] == "missing: 2824 images: 2.jpg, 4.jpg, 26.jpg, 44.jpg, 59.jpg, ..."
    assert lines[-2] == "instead: nothing"
    assert report("folder", tmp_path / "nowhere")[0].endswith("nowhere: no such folder")


def test_many_unreadable_images_are_counted(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"{number:02d}.jpg").write_bytes(b"")
    problems = inspect("folder", tmp_path).problems
    assert len(problems) == 21
    assert problems[-1] == "unreadable: 10 more"


def test_the_kind_is_guessed(tmp_path: Path) -> None:
    assert guess(tmp_path) == "folder"
    (tmp_path / "cars_test").mkdir()
    assert guess(tmp_path) == "stanford-cars"
    for number in (1, 2):
        save_image(tmp_path / "plain" / f"{number:05d}.jpg")
    assert guess(tmp_path / "plain") == "stanford-cars"
