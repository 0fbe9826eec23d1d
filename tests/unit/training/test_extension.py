"""A shipped network is trained further: from its weights, after its images, with its legs, its log and its starts."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest
import torch

from bench.core.checkpoint import read_checkpoint, state_dict_of
from bench.core.errors import ExitCode, UsageError
from bench.world.networks import WEIGHTS
from methods.training import beginning
from methods.training.__main__ import main
from methods.training.extension import shipped_network
from methods.training.loop import train
from methods.training.processes import Processes
from methods.training.provenance import made_of
from methods.training.recipe import Recipe, load_recipe
from methods.training.task import Context
from tests.unit.training.test_loop import RECIPE, LineTask

NAME = "warpres-s43"  # what it started from is not shipped
BATCH = 4
SMALL = ["--set", f"batch={BATCH}", "--set", "figures=4", "--set", "rate=1e-9", "--device", "cpu", "--extend"]


@pytest.fixture(scope="module")
def last() -> int:
    """The step that stands for as many images."""
    return int(made_of(WEIGHTS / f"{NAME}.safetensors")["pictures"]) // BATCH


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, last: int) -> Path:
    """The folder of a training of two more steps, stopped and carried on between them."""
    runs = tmp_path_factory.mktemp("runs")
    words = [f"world/{NAME}", *SMALL, "--set", f"steps={last + 2}", "--out", str(runs)]
    assert main([*words, "--until", str(last + 1)]) == ExitCode.OK
    assert main(words) == ExitCode.OK
    return runs / "world" / NAME


def test_it_goes_on_from_the_weights(made: Path) -> None:
    files = (WEIGHTS / f"{NAME}.safetensors", made / f"{NAME}.safetensors")
    before, after = (state_dict_of(read_checkpoint(file)) for file in files)
    learned = [name for name in before if "running_" not in name and "num_batches" not in name]
    assert len(learned) > 50
    for name in learned:
        torch.testing.assert_close(after[name].float(), before[name].float(), atol=1e-4, rtol=1e-2)


def test_all_legs_and_starts_are_told(made: Path, last: int) -> None:
    before, after = made_of(WEIGHTS / f"{NAME}.safetensors"), made_of(made / f"{NAME}.safetensors")
    assert [(leg["from"], leg["to"]) for leg in after["legs"][-2:]] == [(last, last + 1), (last + 1, last + 2)]
    assert after["legs"][:-2] == [{"batch": before["batch"], **leg} for leg in before["legs"]]
    assert after["pictures"] == before["pictures"] + 2 * BATCH
    absent = "residual-start.safetensors"
    assert after["inputs"][absent] == before["inputs"][absent]
    assert after["input_recipes"][absent] == before["input_recipes"][absent]


def test_its_log_goes_on(made: Path, last: int) -> None:
    steps = [json.loads(line)["step"] for line in (made / "log.jsonl").read_text().splitlines()]
    assert steps[0] < last < steps[-1] == last + 2
    assert steps == sorted(steps)


def test_a_training_that_began_otherwise_is_not_taken_for_an_extended_one(tmp_path: Path) -> None:
    train(LineTask(), RECIPE, tmp_path, until=3)
    with pytest.raises(UsageError, match="did not begin with the shipped network") as caught:
        train(LineTask(), RECIPE, tmp_path, Context(tmp_path, shipped=WEIGHTS / f"{NAME}.safetensors"))
    assert "--fresh" in caught.value.next_step


def test_only_the_first_process_writes_the_log(tmp_path: Path) -> None:
    recipe = load_recipe(f"world/{NAME}", [f"batch={BATCH}", "steps=100000"])
    for rank in (1, 0):
        assert not (tmp_path / "log.jsonl").exists()
        context = Context(tmp_path, processes=Processes(rank, 2), shipped=shipped_network(recipe))
        alone = replace(context, processes=Processes())
        task = import_module(f"methods.training.tasks.{recipe.task}").build(recipe, alone)
        beginning._after_shipped(task, recipe, tmp_path, context)
    assert (tmp_path / "log.jsonl").is_file()


def test_phases_that_are_shares_of_the_steps_are_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Recipe] = []

    def build(recipe: Recipe, context: Context) -> None:
        seen.append(recipe)
        raise UsageError("seen")

    monkeypatch.setattr("methods.training.tasks.encoder.build", build)
    assert main(["world/e4e", "--extend", "--set", "steps=5000", "--out", str(tmp_path)]) == ExitCode.USAGE
    recipe = load_recipe("world/e4e")
    assert seen[0].steps == made_of(WEIGHTS / "e4e.safetensors")["pictures"] // recipe.batch < 5000


def test_the_rate_rises_once_more() -> None:
    recipe = load_recipe("world/styleres")
    assert recipe.rate_at(100, since=100) < recipe.rate_at(100)
    assert recipe.rate_at(100 + recipe.warm_up, since=100) == recipe.rate_at(100 + recipe.warm_up)


def test_more_steps_are_asked_for(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="saw the images of"):
        shipped_network(load_recipe("world/styleres", ["steps=1"]))
    assert main(["world/residual-start", "--extend", "--out", str(tmp_path)]) == ExitCode.MISSING
    assert "without --extend" in capsys.readouterr().err
    assert main(["world", "--extend"]) == ExitCode.USAGE
