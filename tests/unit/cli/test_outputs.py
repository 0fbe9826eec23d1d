"""Where its output cannot be written, a command says so before it loads, reads or computes anything."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.cli import main
from bench.core.errors import MissingError
from methods.training import sweep
from methods.training.__main__ import main as train
from tests.unit.cli.fuzzing import make_runs

# What each command does that takes long.
LONG = (
    "methods.load_method", "methods.registry.load_method", "methods.generators.load_generator",
    "bench.edits.text_direction.clip_text_encoder", "bench.plan.checkpoints.load_planned",
    "bench.results.wholeness.load_results", "reports.leaderboard.board.read_folder",
    "methods.training.__main__.chosen_recipe", "methods.training.__main__.run_chain", "methods.training.sweep.run",
)  # fmt: skip
TEXT = ["edits", "text", "--neutral", "a", "--target", "b", "--fs3", "f", "--statistics", "s", "--output"]


def too_late(*words: object, **options: object) -> None:
    raise MissingError("this takes long")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    for name in LONG:
        monkeypatch.setattr(name, too_late)
    (tmp_path / "taken").touch()
    (tmp_path / "folder").mkdir()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["edits", "fit", "--method", "e4e", "--output", "taken/x.safetensors"], "--output taken: taken is no folder"),
        (["edits", "fit", "--method", "e4e", "--output", "folder"], "--output folder: is a folder"),
        (["edits", "fit", "--method", "e4e", "--images", "taken/x"], "--images taken/x: .*taken is no folder"),
        ([*TEXT, "taken/x.safetensors"], "--output taken: taken is no folder"),
        (["leaderboard", "folder", "--output", "taken/index.html"], "--output taken: taken is no folder"),
        (["edit", "taken", "--method", "e4e", "--edit", "smile=3", "--output", "taken"], "--output taken"),
    ],
)
def test_a_place_that_is_taken(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert re.search(says, capsys.readouterr().err)


@pytest.mark.parametrize(
    "words",
    [["time", "--methods", "e4e", "--into", "runs/one"], ["report", "runs/one", "runs/cut", "--output", "folder/new"]],
)
def test_a_folder_that_may_not_be_written(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_runs(Path("runs"))
    monkeypatch.setattr("os.access", lambda *_: False)
    assert main(words) == 2
    assert "cannot write to" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "words"), [(train, ["world/e4e"]), (train, ["world"]), (sweep.main, [])], ids=["one", "group", "sweep"]
)
def test_trainings(command: object, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert callable(command)
    assert command([*words, "--out", "taken/runs"]) == 2
    assert re.search("--out taken/runs: .*taken is no folder", capsys.readouterr().err)
