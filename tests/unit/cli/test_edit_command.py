"""One photograph in, edits out: the files that are written, and every refusal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.cli import main
from bench.world import open_world


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    world = open_world("test", 1)
    path = tmp_path / "me.png"
    Image.fromarray(world.read(world.images[0])).save(path)
    return path


def _edit(photograph: Path, *words: str) -> int:
    out = str(photograph.parent / "out")
    return main(["edit", str(photograph), "--weights", "synthetic", "--device", "cpu", "-o", out, *words])


def test_every_edit_a_strip_the_flow_and_a_sweep(photograph: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _edit(photograph, "--method", "warpres", "--edit", "smile=2,pose=-3", "--sweep", "pose=-3:3:3") == 0
    folder = Path(capsys.readouterr().out.strip())
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "input.png", "reconstruction.png", "smile+2.png", "pose-3.png", "smile+2.flow.png", "pose-3.flow.png",
        "strip.png", "pose.gif", "pose.sweep.png",
    }  # fmt: skip
    edited, plain = (np.asarray(Image.open(folder / name)) for name in ("pose-3.png", "reconstruction.png"))
    assert edited.shape == plain.shape == (64, 64, 3)
    assert np.abs(edited.astype(int) - plain).mean() > 2
    with Image.open(folder / "pose.gif") as gif:
        assert gif.n_frames == 4  # there and back, the ends once


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--edit", "smile"], "expected NAME=STRENGTH"),
        (["--edit", "smile=nan"], "expected NAME=STRENGTH"),
        (["--edit", "smle=2"], "did you mean smile"),
        (["--sweep", "smile=1:2"], "expected NAME=FROM:TO:STEPS"),
        (["--sweep", "smile=1:2:100000"], "expected NAME=FROM:TO:STEPS"),
        (["--sweep", "smile=0:1:2", "--sweep", "smile=0:2:2"], "smile is swept already"),
        (["--domain", "cars"], "no synthetic weights for cars"),
    ],
)
def test_wrong_words_are_refused(
    photograph: Path, capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    assert _edit(photograph, "--method", "e4e", *words) == 2
    assert sentence in capsys.readouterr().err


def test_a_wide_photograph_is_not_squashed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "wide.png"
    Image.new("RGB", (300, 100)).save(path)
    assert _edit(path, "--method", "e4e", "--edit", "smile=2") == 4
    assert "300 x 100; e4e takes square images" in capsys.readouterr().err


def test_several_photographs_are_turned_upright_and_never_overwrite_each_other(
    photograph: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    turned = photograph.with_name("other") / "me.png"
    turned.parent.mkdir()
    orientation = Image.Exif()
    orientation[0x0112] = 6
    with Image.open(photograph) as image:
        image.rotate(90).save(turned, exif=orientation)
    words = ["--method", "E4E", "--weights", "synthetic", "--device", "cpu", "--edit", "smile=2"]
    assert main(["edit", str(photograph), str(turned), *words, "-o", str(photograph.parent / "out")]) == 0
    folders = [Path(line) for line in capsys.readouterr().out.split()]
    assert [folder.name for folder in folders] == ["me", "me-2"]
    first, second = (np.asarray(Image.open(folder / "input.png")) for folder in folders)
    assert np.array_equal(first, second)


def test_a_folder_is_no_photograph(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _edit(tmp_path, "--method", "e4e", "--edit", "smile=2") == 2
    assert f"{tmp_path} is a folder" in capsys.readouterr().err
