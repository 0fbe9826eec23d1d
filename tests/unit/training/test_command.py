"""`python -m methods.training` end to end on a recipe of a few steps: stops, carries on, logs, exports, refuses."""

from __future__ import annotations

import json
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench.core.errors import ExitCode
from methods.training.__main__ import main
from methods.training.loop import Ended
from methods.training.provenance import made_of
from methods.training.world import maker_of

SMALL = ["--set", "batch=4", "--set", "steps=3", "--set", "warm_up_share=0.4", "--device", "cpu"]

START = ["--set", 'start="styleres.safetensors"', "--set", 'chosen_by=""']


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base encoder trained in two legs."""
    runs = tmp_path_factory.mktemp("runs")
    assert main(["world/e4e", *SMALL, "--out", str(runs), "--until", "1"]) == ExitCode.OK
    assert not (runs / "world" / "e4e" / "e4e.safetensors").exists()
    assert main(["world/e4e", *SMALL, "--out", str(runs)]) == ExitCode.OK
    return runs


def test_a_training_in_two_legs_is_exported_with_its_provenance(runs: Path) -> None:
    made = made_of(runs / "world" / "e4e" / "e4e.safetensors")
    assert [(leg["from"], leg["to"], leg["device"]) for leg in made["legs"]] == [(0, 1, "cpu"), (1, 3, "cpu")]
    assert len({leg["arithmetic"] for leg in made["legs"]}) == 1
    assert (made["recipe"], made["steps"], made["pictures"]) == ("world/e4e", 3, 12)
    assert set(made["inputs"]) == {"generator.safetensors", "critics.safetensors"}


def test_everything_is_logged(runs: Path) -> None:
    folder = runs / "world" / "e4e"
    records = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    losses = [record["losses"] for record in records if "losses" in record]
    assert set(losses[0]) == {"regression", "w_discriminator"}
    assert {"l2", "perceptual", "identity", "deltas", "w_adversarial"} <= set(losses[1])
    assert "mse" in records[-1]["check"]
    assert (folder / "samples" / "reconstruction.png").is_file()
    if find_spec("tensorboard"):
        assert list((folder / "tensorboard").glob("events.out.tfevents.*"))


def test_a_group_takes_what_is_there(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["world", "--list", "--out", str(runs), "--only", "e4e"]) == ExitCode.OK
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("world/e4e "))
    assert "outdated: the recipe" in line  # these three steps are not the recipe's


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["world/e4f"], ExitCode.USAGE, "did you mean world/e4e"),
        (["words"], ExitCode.USAGE, "unknown group of recipes"),
        (["faces"], ExitCode.USAGE, "python -m methods.training faces/pretrained-flow --data"),
        (["world/e4e", "--list"], ExitCode.USAGE, "for a group of recipes"),
        (["world", "--set", "batch=4"], ExitCode.USAGE, "for one recipe"),
        (["world", "--threads", "2"], ExitCode.USAGE, "--threads and --arithmetic are for one recipe"),
        (["world/generator", "--budget", "0.3"], ExitCode.USAGE, "discriminator_head_start = 80 leaves nothing of 60"),
        (["world/generator", "--set", "also=[]"], ExitCode.USAGE, "one file beside its generator"),
        (["faces/warpres", "--budget", "0.02", "--data", "."], ExitCode.USAGE, "adapter_warm_up = 1000 leaves nothing"),
        (["world", "--only", "e4f"], ExitCode.USAGE, "unknown recipe"),
        (["world", "--budget", "none"], ExitCode.USAGE, "no number above 0"),
        (["world", "--budget", "inf"], ExitCode.USAGE, "no number above 0"),
        (["world", "--budget", "e4e=1e9"], ExitCode.USAGE, "no number above 0"),
        (["world/e4e", "--budget", "psp=2"], ExitCode.USAGE, "is of another recipe"),
        (["world", "--budget", "e4f=2"], ExitCode.USAGE, "unknown recipe"),
        (["world/e4e", "--budget", "0"], ExitCode.USAGE, "no number above 0"),
        (["world/e4e", "--device", "tpu"], ExitCode.USAGE, "unknown device"),
        (["faces/styleres", "--data", "nowhere"], ExitCode.MISSING, "no folder or archive"),
        (["world/e4e", "--data", "."], ExitCode.USAGE, "world/e4e draws its own images"),
        (["faces/styleres", "--extend", "--data", "."], ExitCode.MISSING, "no network of faces/styleres is shipped"),
        (["world/critics", "--set", "betas=[0.5, 0.9]"], ExitCode.USAGE, "betas is not for judges"),
        (["mine.toml"], ExitCode.MISSING, "no recipe file"),
        (["world/sweep"], ExitCode.USAGE, "is no training"),
        (["world/styleres", *START, "--set", "batch=6"], ExitCode.USAGE, "in groups of 4"),
        (["faces/styleres", "--set", "batch=6", "--data", "."], ExitCode.USAGE, "in groups of 4"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(
    words: list[str], code: ExitCode, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--out", str(tmp_path)]) == code
    error = capsys.readouterr().err
    assert any(line.startswith("error: ") for line in error.splitlines())
    assert said in error


@pytest.mark.parametrize(
    "words",
    ["--until 0", "--until -5", "--threads 0", "--threads 100000", "--deadline -1", "--deadline nan", "--jobs 0"],
)
def test_numbers_beyond_what_they_may_be_are_wrong_usage(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["world/e4e", *words.split()])
    assert caught.value.code == ExitCode.USAGE
    assert f"argument {words.split()[0]}: must be" in capsys.readouterr().err


def test_a_reader_that_went_away_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def plan(*_: object) -> str:
        raise BrokenPipeError

    monkeypatch.setattr("methods.training.__main__.plan", plan)
    monkeypatch.setattr("sys.stdout", StringIO())
    assert main(["world", "--list", "--out", str(tmp_path)]) == ExitCode.OK


def test_help_fits_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main(["--help"])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_a_budget_goes_by_the_recipe_s_short_name_too(tmp_path: Path) -> None:
    words = ["world/e4e", *SMALL, "--out", str(tmp_path), "--budget", "e4e=2", "--until", "1"]
    assert main(words) == ExitCode.OK
    assert (tmp_path / "world/e4e/log.jsonl").is_file()


def test_memory_that_is_used_up_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def build(*_: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes")

    monkeypatch.setattr("methods.training.tasks.encoder.build", build)
    assert main(["world/e4e", *SMALL, "--out", str(tmp_path)]) == ExitCode.MISSING
    assert "--set batch" in capsys.readouterr().err


def test_a_deadline_counts_from_the_start_of_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []
    clock = iter([100.0, 107.0])

    def train(*_: object, deadline: float, **others: object) -> Ended:
        given.append(deadline)
        return Ended(0, finished=False)

    monkeypatch.setattr("methods.training.__main__.monotonic", lambda: next(clock))
    monkeypatch.setattr("methods.training.__main__.train", train)
    monkeypatch.setattr("methods.training.tasks.encoder.build", lambda *_: None)
    assert main(["world/e4e", *SMALL, "--out", str(tmp_path), "--deadline", "10"]) == ExitCode.OK
    assert given == [3.0]


def test_a_full_disk_is_told_before_images_are_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    assert main(["world/e4e", *SMALL, "--out", str(tmp_path)]) == ExitCode.MISSING
    assert "the disk is full" in capsys.readouterr().err


def test_what_makes_a_part_of_the_world_is_a_recipe_of_the_world() -> None:
    assert maker_of("e4e.safetensors") == "world/e4e"
    assert maker_of("styleres.safetensors") == "world/styleres"
