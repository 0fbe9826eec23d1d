"""In which arithmetic a training computes: the faster one on this CPU, the checkpoint's, or the one asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from bench.core.errors import UsageError
from methods.training import arithmetic
from methods.training.arithmetic import BENT, arithmetic_of, settled
from methods.training.loop import train
from methods.training.processes import Processes
from methods.training.task import Context
from tests.unit.training.test_loop import RECIPE, LineTask

HALF = replace(RECIPE, bfloat16=True, digest="of its own values")


def _seconds(*, bfloat16: float) -> Callable[[torch.dtype], float]:
    return lambda dtype: bfloat16 if dtype is torch.bfloat16 else 1.0


def _unmeasured(dtype: torch.dtype) -> float:
    raise AssertionError("nothing is measured here")


@pytest.mark.parametrize(("bfloat16", "taken"), [(1.9, "float32"), (1.0, "float32"), (0.5, "bfloat16")])
def test_a_cpu_takes_what_is_faster_on_it_under_the_recipes_own_digest(
    bfloat16: float, taken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(arithmetic, "seconds", _seconds(bfloat16=bfloat16))
    recipe = settled(HALF, Context(tmp_path))
    assert arithmetic_of(recipe) == taken
    assert recipe.digest == HALF.digest
    assert f"line: trains in {taken}" in capsys.readouterr().err


def test_both_are_measured_here() -> None:
    assert all(arithmetic.seconds(dtype) > 0 for dtype in (torch.float32, torch.bfloat16))


def test_a_gpu_computes_as_the_recipe_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arithmetic, "seconds", _unmeasured)
    assert settled(HALF, Context(tmp_path, torch.device("cuda"))).bfloat16


def test_what_is_asked_for_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arithmetic, "seconds", _unmeasured)
    assert settled(HALF, Context(tmp_path), "bfloat16").bfloat16
    assert not settled(HALF, Context(tmp_path), "float32").bfloat16
    assert not settled(RECIPE, Context(tmp_path)).bfloat16
    with pytest.raises(UsageError, match="line is for float32"):
        settled(RECIPE, Context(tmp_path), "bfloat16")


@pytest.mark.parametrize("first", arithmetic.NAMES)
def test_a_training_carries_on_in_the_arithmetic_of_its_checkpoint(
    first: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, context = tmp_path / HALF.name, Context(tmp_path)
    train(LineTask(), settled(HALF, context, first), folder, context, until=20)
    monkeypatch.setattr(arithmetic, "seconds", _unmeasured)
    again = settled(HALF, context)
    assert arithmetic_of(again) == first
    train(LineTask(), again, folder, context)
    made = json.loads((folder / HALF.output).read_text())
    assert [leg["arithmetic"] for leg in made["legs"]] == [first, first]
    assert made["recipe_digest"] == HALF.digest


def test_beginning_anew_measures_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = Context(tmp_path)
    train(LineTask(), HALF, tmp_path / HALF.name, context, until=20)
    monkeypatch.setattr(arithmetic, "seconds", _seconds(bfloat16=2.0))
    assert settled(HALF, context).bfloat16
    assert not settled(HALF, context, fresh=True).bfloat16


@dataclass(frozen=True)
class _Told(Processes):
    """What rank 0 found comes to the others through `any`."""

    found: bool = False

    def any(self, flag: bool, device: torch.device) -> bool:
        assert not flag, "only rank 0 measures"
        return self.found


@pytest.mark.parametrize("exact", [True, False])
def test_other_processes_do_as_rank_0_found(exact: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arithmetic, "seconds", _unmeasured)
    context = Context(tmp_path, processes=_Told(1, 2, exact))
    assert settled(HALF, context).bfloat16 is not exact


@pytest.mark.parametrize("task", BENT)
def test_what_bfloat16_bends_is_trained_in_float32_on_any_device(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arithmetic, "seconds", _unmeasured)
    recipe = replace(HALF, task=task)
    assert not settled(recipe, Context(tmp_path, torch.device("cuda"))).bfloat16
    assert settled(recipe, Context(tmp_path)).digest == recipe.digest
    with pytest.raises(UsageError, match="bends its gradients"):
        settled(recipe, Context(tmp_path), "bfloat16")
