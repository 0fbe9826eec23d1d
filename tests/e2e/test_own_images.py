"""A folder of one's own images from the command line alone: KIND:DIR, what is refused, and faces aligned as they are
read."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data.align import dataset as aligning
from bench.data.align import faces
from bench.data.align.faces import Face
from bench.results.manifest import read_manifest
from bench.results.wholeness import load_run
from tests.e2e.conftest import ROOT, Desk


def _words(desk: Desk, *more: str) -> list[str]:
    return [
        "--methods", "blocks", "--edits", "none", "--protocols", str(desk.folder / "plain-1.toml"),
        "--plugin", str(ROOT / "tests/e2e/plugin.py"), "--checkpoint", f"blocks={desk.folder / 'bright.pt'}",
        "--output", str(desk.folder / "runs"), "--name", "mine", *more,
    ]  # fmt: skip


def test_images_of_ones_own_need_no_file_and_no_labels(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (96, 64)).save(desk.folder / "faces" / "wide.png")
    assert desk.here(*_words(desk, "--data", f"folder:{desk.folder / 'faces'}")) == 4
    said = capsys.readouterr().err
    assert "wide.png: 96x64 pixels, not square, and would be squashed; --align, or crop it" in said
    run = desk.folder / "runs" / "mine"
    manifest = read_manifest(run)
    assert (manifest["preset"], manifest["data"]["name"], len(manifest["pictures"])) == ("paper-faces", "folder", 11)
    # What is not the paper's data is not called so, nor held against its tables.
    assert (manifest["title"], manifest["paper_table"]) == ("Images of faces", 0)
    frame = load_run(run)
    assert set(frame[frame.status == "failed"].image) == {"wide.png"}
    (scores,) = (run / "tables").glob("scores*.csv")
    with scores.open(newline="") as file:
        assert len(list(csv.reader(file))) > 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--preset", "paper-faces", "--data", "own"], "own holds 2 images, none of celebahq's"),
        (["--preset", "paper-faces", "--data", "own"], "--data folder:own"),
        (["--data", "foldr:own"], "did you mean folder"),
        (["--data", "folder:absent"], "absent: no such folder"),
        (["--preset", "paper-cars", "--data", "absent", "--align"], "absent: no such folder"),
        (["--preset", "paper-cars", "--data", "own", "--align"], "images of cars are not aligned"),
        (["--align"], "drawn aligned"),
        (["--data", "folder:own", "--face", "-1"], "--face must be at least 0"),
    ],
)
def test_one_sentence_says_what_is_wrong(
    words: list[str], sentence: str, desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    own = Path("own")
    own.mkdir()
    for name in ("IMG_1.png", "IMG_2.png"):
        Image.new("RGB", (64, 64)).save(own / name)
    assert desk.here(*_words(desk, *words)) in (2, 3)
    assert sentence in capsys.readouterr().err


def _found(image: np.ndarray) -> list[Face]:
    """As many faces as the image's first pixel says, each a quarter of it."""
    points = np.zeros((68, 2))
    points[36:42], points[42:48], points[48], points[54] = (20, 24), (40, 24), (22, 40), (38, 40)
    return [Face((0, 0, 9, 9), points + 10 * number) for number in range(int(image[0, 0, 0]))]


def test_faces_are_aligned_as_they_are_read(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(aligning, "aligner_digest", lambda: "a model")
    monkeypatch.setattr(faces, "find_faces", _found)
    folder = desk.folder / "photographs"
    folder.mkdir()
    for count in range(3):
        image = np.random.default_rng(count).integers(0, 256, (80, 120, 3), dtype=np.uint8)
        image[0, 0] = count
        Image.fromarray(image).save(folder / f"{count}.png")
    words = _words(desk, "--data", f"folder:{folder}", "--align")
    assert desk.here(*words) == 4
    said = capsys.readouterr().err
    assert "research use only" in said
    assert "0.png: no face was found" in said and "2 faces were found" in said and "--face 1: the largest" in said
    digests = {
        name: about["digest"] for name, about in read_manifest(desk.folder / "runs" / "mine")["pictures"].items()
    }
    assert desk.here(*words, "--face", "2", "--fresh") == 4
    said = capsys.readouterr().err
    assert "1.png: there is no face 2; 1 found" in said and "2.png" not in said
    # Which face, and what found it, are part of every key.
    again = {name: about["digest"] for name, about in read_manifest(desk.folder / "runs" / "mine")["pictures"].items()}
    assert not set(digests.values()) & set(again.values())


def test_methods_stand_in_the_order_they_are_asked_in(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*desk.basics, "--checkpoint", f"dull-blocks={desk.folder / 'dull.pt'}", "--name", "mine", "--limit", "4"]
    for order in (["dull-blocks", "blocks"], ["blocks", "dull-blocks"]):
        assert desk.here(*words, "--methods", ",".join(order)) == 0
        with (desk.folder / "runs" / "mine" / "tables" / "scores@plain-1.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["method"] for row in rows if row["kind"] == "method"] == order
        capsys.readouterr()
    assert desk.here(*words, "--methods", "*blocks", "--dry-run") == 0
