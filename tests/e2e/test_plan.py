"""The plan: every cell and everything missing at once, whatever is not here; and what is told before a run starts."""

from __future__ import annotations

import json
import re
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from bench.cli import main
from bench.data.splits import checksum
from tests.e2e.conftest import PROTOCOL, Desk

FACES = ["psp", "e4e", "restyle", "hyperstyle", "hfgi", "styletransformer", "featurestyle", "styleres", "warpres"]


@pytest.fixture(autouse=True)
def _empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARPRES_BENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.chdir(tmp_path)


def _plan(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[str, dict[str, Any]]:
    """The plan as text, and as data."""
    assert main([*words, "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert main([*words, "--dry-run", "--json"]) == 0
    return text, json.loads(capsys.readouterr().out)


def _command(text: str) -> list[str]:
    """The names of the one fetch command, put together from its lines."""
    (command,) = re.findall(r"python run_bench\.py weights fetch (?!--from)((?:.*\\\n)*.*)", text)
    return command.replace("\\\n", " ").split()


def test_a_plan_needs_neither_data_nor_weights(capsys: pytest.CaptureFixture[str]) -> None:
    text, plan = _plan(capsys, "--preset", "paper-faces")
    assert max(map(len, text.splitlines())) <= 80
    cells = {(c["method"], c["column"], c["protocol"]): c for c in plan["cells"]}
    passes = ["reconstruction", "smile+", "smile-", "pose+", "pose-"]
    assert {m for m, *_ in cells} == {"real", "real-jpeg", *FACES}
    assert all((m, c, p) in cells for m in FACES for c in passes for p in ("paper-1", "standard-1"))
    assert {cell["pictures"] for cell in cells.values()} == {None}
    smile = cells["featurestyle", "smile+", "paper-1"]
    assert (smile["strength"], smile["inputs"], smile["reals"]) == (15.0, "Smiling=-1", "Smiling=1")
    assert "smile+               +15  Smiling=-1       ?" in text
    assert plan["methods"] == {**dict.fromkeys(FACES, "missing"), "warpres": "not released"}
    assert "disk  not known" in text and "time  not known" in text


def test_a_plan_names_everything_missing_once_and_gets_it_with_one_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text, plan = _plan(capsys, "--preset", "paper-faces")
    gaps = {gap["name"]: gap for gap in plan["gaps"]}
    assert len(gaps) == len(plan["gaps"])
    assert gaps["psp-faces"]["needed_for"] == ["psp", "featurestyle"]
    assert gaps["curricularface"]["needed_for"] == ["id@paper-1", "id_mtcnn@paper-1", "id@standard-1"]
    assert gaps["mtcnn"]["needed_for"] == ["id_mtcnn@paper-1"]
    assert gaps["insightface-buffalo_l"]["needed_for"] == ["id@standard-1"]
    assert gaps["smile.pt"]["needed_for"] == [
        "smile of psp, e4e, restyle, hyperstyle, hfgi, styletransformer, styleres"
    ]
    assert gaps["Smiling_boundary.npy"]["command"].startswith("get it by hand (https://")
    names = _command(text)
    assert len(names) == len(set(names))
    assert set(names) == set(gaps) - {"celebahq", "warpres", "Smiling_boundary.npy"}
    assert plan["fetch"]["command"].split()[4:] == names
    assert plan["fetch"]["bytes"] == sum(gaps[name]["bytes"] for name in names) > 9e9
    assert "add --data DIR" in text and "CelebAMask-HQ" in text


def test_a_plan_of_cars_says_what_to_do_about_hfgi(capsys: pytest.CaptureFixture[str]) -> None:
    text, plan = _plan(capsys, "--preset", "paper-cars")
    (hfgi,) = [gap for gap in plan["gaps"] if gap["name"] == "hfgi"]
    assert hfgi["status"] == "not released" and "face checkpoint only" in hfgi["reason"]
    assert "hfgi: leave it out of --methods" in text


@pytest.mark.parametrize("preset", ["paper-ablation", "synthetic"])
def test_other_plans_fit_the_screen_too(preset: str, capsys: pytest.CaptureFixture[str]) -> None:
    text, _ = _plan(capsys, "--preset", preset)
    # A single word is not cut, so that it can be copied.
    assert not [line for line in text.splitlines() if len(line) > 80 and len(line.split()) > 1]


def test_wrong_and_incomplete_data_are_part_of_the_plan(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    text, plan = _plan(capsys, *desk.basics, "--data", "./nowhere")
    assert "nowhere: no such folder" in text and plan["cells"][0]["pictures"] is None
    half = desk.folder / "half"
    (half / "CelebA-HQ-img").mkdir(parents=True)
    (half / "config.toml").write_text("[data]\nname = 'celebahq'\nsplit = 'test'\n")
    words = ["--preset", "paper-faces", "--config", str(half / "config.toml"), "--data", str(half)]
    text, plan = _plan(capsys, *words)
    counts = {(c["method"], c["column"]): c["pictures"] for c in plan["cells"]}
    assert (counts["e4e", "smile+"], counts["e4e", "smile-"], counts["real", "original"]) == (1485, 1339, 2824)
    assert "2824 of 2824 test images are missing" in " ".join(text.split())
    # A real run refuses all the same.
    assert main(words) == 3
    assert "images are missing" in capsys.readouterr().err


def test_directions_are_looked_for_for_every_method(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("smile.pt", "pose.pt"):
        (desk.folder / name).unlink()
    words = [*desk.basics, "--methods", "blocks,e4e,featurestyle"]
    text, plan = _plan(capsys, *words)
    gaps = {gap["name"]: gap["needed_for"] for gap in plan["gaps"]}
    assert gaps["pose.pt"] == ["pose of blocks, e4e, featurestyle"]
    assert gaps["smile.pt"] == ["smile of blocks, e4e"]
    assert gaps["Smiling_boundary.npy"] == ["smile of featurestyle"]
    assert plan["methods"] == dict.fromkeys(("blocks", "e4e", "featurestyle"), "missing")
    assert _command(text) == ["smile.pt", "pose.pt", "e4e-faces", "featurestyle-faces", "psp-faces"]
    assert main(words) == 3
    said = capsys.readouterr().err
    assert "pose of blocks, e4e, featurestyle: pose.pt is not here" in said
    assert "e4e-faces is not here" in said


def test_bad_images_are_told_before_anything_runs(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    (desk.folder / "faces/3.png").write_bytes(b"")
    (desk.folder / "faces/7.png").write_bytes(b"<html>no</html>")
    text, plan = _plan(capsys, *desk.basics)
    assert "2 of 10 images cannot be used" in " ".join(text.split())
    assert ["3.png" in plan["unusable"][0], "7.png" in plan["unusable"][1]] == [True, True]
    assert desk.here(*desk.basics) == 4
    said = capsys.readouterr().err
    assert said.index("2 of 10 images cannot be used") < said.index("results to compute")
    assert "7.png: is a web page, not an image" in said


def test_all_images_taken_for_want_of_a_label_is_said_everywhere(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    # A metric of which reports know nothing is shown for edits too.
    (desk.folder / "plain-1.toml").write_text(PROTOCOL.replace('stem = "psnr"', 'stem = "likeness"'))
    text, plan = _plan(capsys, *desk.basics)
    sentence = "all images are taken, since not all have the label Smiling"
    assert plan["notes"][0].startswith(f"smile+: {sentence}")
    assert sentence in " ".join(text.split())
    assert desk.here(*desk.basics, "--name", "bare") == 0
    said = capsys.readouterr()
    assert sentence in said.err and sentence in " ".join(said.out.split())
    run = desk.folder / "runs/bare"
    passes = {item["column"]: item for item in json.loads((run / "manifest.json").read_text())["passes"]}
    assert sentence in passes["smile+"]["note"] and "note" not in passes["pose+"]
    assert sentence in (run / "tables/scores@plain-1.md").read_text()
    # Labels on all but one image are not labels on all: the first image alone must not decide.
    rows = "".join(f"{i}.png,{1 if i % 2 else -1}\n" for i in range(9))
    (desk.folder / "faces/labels.csv").write_text("name,Smiling\n" + rows)
    assert desk.here(*desk.basics, "--name", "nearly") == 0
    assert sentence in capsys.readouterr().err
    (desk.folder / "faces/labels.csv").write_text("name,Smiling\n" + rows + "9.png,1\n")
    assert desk.here(*desk.basics, "--name", "labelled") == 0
    assert "note:" not in capsys.readouterr().err


def test_a_changed_protocol_file_is_refused_by_a_report_of_old_rows(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert desk.here(*desk.basics, "--name", "old") == 0
    run, file = desk.folder / "runs/old", desk.folder / "plain-1.toml"
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["data"]["split_crc32"] == checksum(f"{i}.png" for i in range(10))
    assert len(manifest["protocols"]["plain-1"]["rules"]) == 64
    assert desk.here("report", str(run)) == 0
    file.write_text(PROTOCOL.replace('rule = "skip"', 'rule = "zero"'))
    capsys.readouterr()
    for words in (["report", str(run)], ["gate", str(run), str(run)]):
        assert desk.here(*words) == 3
        said = capsys.readouterr()
        assert "plain-1.toml has changed since" in said.err and "a new name" in said.err
        assert said.out == ""
    # Words for people are no rule.
    file.write_text(PROTOCOL.replace('title = "Pixels only"', 'title = "Nothing but pixels"'))
    assert desk.here("report", str(run)) == 0


def test_a_resumed_run_asks_for_room_for_what_is_missing_alone(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert desk.here(*desk.basics, "--name", "full", "--limit", "9") == 0
    usage = namedtuple("usage", ["total", "used", "free"])
    # Seven rows of one image fit, the seventy of all do not.
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 7 * 900 + 100))
    assert desk.here(*desk.basics, "--name", "full") == 0
    capsys.readouterr()
    # Results of another run under one --output would be taken over.
    assert desk.here(*desk.basics, "--name", "other", "--output", "elsewhere") == 3
    assert "MB are free" in capsys.readouterr().err
