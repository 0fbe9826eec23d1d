"""The training loop: a killed run carries on to the same weights, checkpoints are whole, the log has every loss."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.core.errors import MissingError, UsageError
from methods.training import sweep
from methods.training.loop import train
from methods.training.recipe import TASKS, Recipe, load_recipe, shipped_recipes
from methods.training.task import Task


class LineTask(Task):
    """Fits y = 3x from batches of the step's own random stream."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.line = nn.Linear(1, 1)
        self.modules: dict[str, nn.Module] = {"line": self.line}
        self.optimisers: dict[str, torch.optim.Optimizer] = {"line": torch.optim.Adam(self.line.parameters(), lr=0.1)}

    def step(self, step: int, random: torch.Generator) -> Mapping[str, Tensor]:
        x = torch.randn(8, 1, generator=random)
        loss = (self.line(x) - 3 * x).square().mean()
        self.optimisers["line"].zero_grad()
        loss.backward()
        self.optimisers["line"].step()
        return {"square": loss.detach()}

    def check(self) -> Mapping[str, float]:
        return {"weight": float(self.line.weight.detach())}

    def export(self, path: Path, provenance: Mapping[str, Any]) -> None:
        path.write_text(json.dumps({"weight": float(self.line.weight.detach()), **provenance}))


RECIPE = Recipe(
    name="line", task="line", seed=5, steps=300, batch=8, rate=0.05, output="line.json", warm_up=10, fall=0.5
)


def test_a_stopped_run_carries_on_to_the_same_weights(tmp_path: Path) -> None:
    whole, stopped = LineTask(), LineTask()
    train(whole, RECIPE, tmp_path / "whole")
    train(stopped, RECIPE, tmp_path / "stopped", until=47)
    assert not (tmp_path / "stopped" / "line.json").exists()
    again = LineTask()
    train(again, RECIPE, tmp_path / "stopped")
    assert torch.equal(whole.line.weight, again.line.weight)
    assert torch.equal(whole.line.bias, again.line.bias)
    made = json.loads((tmp_path / "stopped" / "line.json").read_text())
    assert made["steps"] == 300
    assert made["seed"] == 5
    assert abs(made["weight"] - 3) < 0.2


def test_bfloat16_steps_leave_the_weights_in_float32(tmp_path: Path) -> None:
    seen: list[torch.dtype] = []

    class Watched(LineTask):
        def step(self, step: int, random: torch.Generator) -> Mapping[str, Tensor]:
            seen.append(self.line(torch.ones(1, 1)).dtype)
            return super().step(step, random)

        def check(self) -> Mapping[str, float]:
            seen.append(self.line(torch.ones(1, 1)).dtype)
            return super().check()

    task = Watched()
    train(task, replace(RECIPE, steps=2, bfloat16=True), tmp_path)
    assert seen[:2] == [torch.bfloat16] * 2
    assert set(seen[2:]) == {torch.float32}
    assert task.line.weight.dtype == torch.float32


def test_log_has_losses_and_checks_and_no_partial_file_stays(tmp_path: Path) -> None:
    train(LineTask(), RECIPE, tmp_path)
    records = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    losses = [record["losses"]["square"] for record in records if "losses" in record]
    assert len(losses) == 6
    assert losses[-1] < losses[0]
    assert any("check" in record for record in records)
    assert not list(tmp_path.glob("*.partial"))


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    first = LineTask()
    train(first, RECIPE, tmp_path)
    second = LineTask()
    train(second, RECIPE, tmp_path)
    assert torch.equal(first.line.weight, second.line.weight)


def test_rate_follows_the_recipe() -> None:
    halving = replace(RECIPE, warm_up=0, fall=0.0, halve_at=(0.25, 0.5))
    assert [halving.rate_at(step) for step in (0, 74, 75, 150)] == [0.05, 0.05, 0.025, 0.0125]
    assert RECIPE.rate_at(0) == pytest.approx(0.005)
    assert RECIPE.rate_at(299) < 0.003


@pytest.mark.parametrize("name", [name for name in shipped_recipes() if name != sweep.NAME])
def test_shipped_recipes_load_and_name_themselves(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert (TASKS / f"{recipe.task}.py").is_file()
    assert len(recipe.digest) == 64


def test_bad_recipes_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown recipe") as caught:
        load_recipe("world/warpress")
    assert "world/warpres" in caught.value.next_step
    with pytest.raises(MissingError, match="no recipe file"):
        load_recipe(tmp_path / "mine.toml")
    (tmp_path / "broken.toml").write_text("name = ")
    with pytest.raises(UsageError, match="is not TOML"):
        load_recipe(tmp_path / "broken.toml")
    (tmp_path / "short.toml").write_text('name = "short"')
    with pytest.raises(UsageError, match="lacks batch, output"):
        load_recipe(tmp_path / "short.toml")


def test_the_average_is_exported_and_the_training_untouched_by_it(tmp_path: Path) -> None:
    seen: list[float] = []

    class Watched(LineTask):
        def step(self, step: int, random: torch.Generator) -> Mapping[str, Tensor]:
            losses = super().step(step, random)
            seen.append(float(self.line.weight.detach()))
            return losses

    plain, averaged = LineTask(), Watched()
    start = float(averaged.line.weight.detach())
    train(plain, replace(RECIPE, steps=40), tmp_path / "plain")
    train(averaged, replace(RECIPE, steps=40, average=24), tmp_path / "averaged")
    assert torch.equal(plain.line.weight, averaged.line.weight)
    decay, mean = 0.5 ** (8 / 24), start
    for weight in seen:
        mean = decay * mean + (1 - decay) * weight
    made = json.loads((tmp_path / "averaged" / "line.json").read_text())
    assert made["weight"] == pytest.approx(mean, abs=1e-5)
    assert abs(made["weight"] - seen[-1]) > 1e-3


def test_a_stopped_run_carries_on_to_the_same_average(tmp_path: Path) -> None:
    recipe = replace(RECIPE, steps=40, average=80)
    train(LineTask(), recipe, tmp_path / "whole")
    train(LineTask(), recipe, tmp_path / "stopped", until=17)
    train(LineTask(), recipe, tmp_path / "stopped")
    whole, stopped = (json.loads((tmp_path / name / "line.json").read_text()) for name in ("whole", "stopped"))
    assert whole["weight"] == stopped["weight"]
