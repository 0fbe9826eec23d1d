"""`data check` asks a detector for a face: how many, which, and what gets a detector where none is here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench.cli import main
from bench.data.check import inspect
from bench.data.face_search import FaceDetector
from bench.plan import detectors

from .conftest import save_image

SHARED = Path(__file__).parents[4] / "shared" / "data" / "mtcnn"


def sees_dark(pixels: np.ndarray) -> bool:
    return float(pixels.mean()) < 100


DETECTOR = FaceDetector("a detector of dark pictures", sees_dark)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Twelve pictures, of which the fourth is bright."""
    from PIL import Image

    for number in range(12):
        Image.new("RGB", (300, 300), (200 if number == 3 else 40,) * 3).save(tmp_path / f"{number:02d}.png")
    return tmp_path


def test_pictures_without_a_face_are_counted_and_named(pictures: Path) -> None:
    report = inspect("folder", pictures, "all", detector=DETECTOR, faces=None)
    assert report.problems == () and report.without_face == ("03.png",)
    assert report.there[-1] == "there: a detector of dark pictures sees a face in 11 of 12 images, none in 03.png"
    (pictures / "01.png").unlink()
    (pictures / "02.png").write_bytes(b"no picture")
    save_image(pictures / "04.png", size=(300, 300))
    report = inspect("folder", pictures, "all", detector=DETECTOR, faces=None)
    assert report.problems[-1].endswith("sees a face in 8 of 10 images, none in 03.png, 04.png")
    assert report.problems[-1].startswith("doubtful: ")


def test_some_are_looked_at_over_the_whole_split(pictures: Path) -> None:
    assert inspect("folder", pictures, "all", detector=DETECTOR, faces=4).without_face == ("03.png",)
    assert "4 images" in inspect("folder", pictures, "all", detector=DETECTOR, faces=4).problems[-1]
    assert inspect("folder", pictures, "all", detector=DETECTOR, faces=3).without_face == ()
    assert "face" not in " ".join(inspect("folder", pictures, "all", detector=DETECTOR).lines)
    assert "face" not in " ".join(inspect("folder-cars", pictures, "all", detector=DETECTOR, faces=None).lines)


def test_without_a_detector_the_command_says_what_gets_one(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WARPRES_BENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("bench.data.align.faces.find_spec", lambda name: None)
    words = ["data", "check", "--root", str(pictures), "--data", "folder", "--split", "all"]
    assert main(words) == 0
    assert "no detector is here; python run_bench.py weights fetch mtcnn gets one" in capsys.readouterr().out
    assert main([*words, "--faces", "0"]) == main([*words, "--quick"]) == 0
    assert "detector" not in capsys.readouterr().out
    monkeypatch.setattr(detectors, "face_detector", lambda: DETECTOR)
    assert main([*words, "--faces", "all", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["without_face"] == ["03.png"]
    for wrong in ("-1", "none", "nan"):
        with pytest.raises(SystemExit) as left:
            main([*words, "--faces", wrong])
        assert left.value.code == 2


@pytest.mark.skipif(not SHARED.is_dir(), reason="the detector's weights are not beside the repository")
def test_the_evaluators_detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    from bench.world import open_world

    monkeypatch.setenv("WARPRES_BENCH_HOME", str(tmp_path / "home"))
    (tmp_path / "home" / "weights").mkdir(parents=True)
    (tmp_path / "home" / "weights" / "mtcnn").symlink_to(SHARED)
    detector = detectors.face_detector()
    assert detector is not None and detector.name == "MTCNN"
    world = open_world("test", 1)
    face = np.asarray(Image.fromarray(world.read(world.images[0])).resize((256, 256), Image.Resampling.BICUBIC))
    assert detector.sees(face)
    assert not detector.sees(np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8))
