"""Steps off the CPU: the device "meta" computes nothing, but refuses tensors of two devices in one operation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path

import pytest
import torch

from methods.training import people
from methods.training.recipe import load_recipe
from methods.training.task import Context, Task

META = torch.device("meta")
RESIDUAL = ('start="styleres.safetensors"', "batch=4")
CASES = {
    "world/residual-start": ("batch=4",),
    "world/styleres": RESIDUAL,
    "world/styleres-paper": (*RESIDUAL, 'cycle_grad="through"'),
    "world/warpres": (*RESIDUAL, 'flow_start="teacher.safetensors"'),
    "world/warpres-pretrained-flow": RESIDUAL,
    "world/flow-start": ("batch=4",),
    "world/teacher": ("batch=8",),
    "world/critics": ("batch=4",),
    "world/fit": ("batch=4", "half_size_share=0.0"),
    "world/e4e": ("batch=4", "warm_up_share=0.0"),
}


@pytest.fixture(autouse=True)
def _without_pixels(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No image is drawn, and autocast, which does not know the device, is left out."""
    monkeypatch.setattr(people.People, "_render_missing", lambda self, rows: None)
    monkeypatch.setattr(torch, "autocast", lambda *args, **options: nullcontext())
    yield


def task_of(recipe: str, changes: tuple[str, ...], runs: Path) -> Task:
    loaded = load_recipe(recipe, changes)
    task: Task = import_module(f"methods.training.tasks.{loaded.task}").build(loaded, Context(runs, META))
    return task


@pytest.mark.parametrize("recipe", CASES)
def test_a_step_stays_on_its_device(recipe: str, tmp_path: Path) -> None:
    task = task_of(recipe, CASES[recipe], tmp_path)
    for step in (0, 1):
        terms = task.step(step, torch.Generator().manual_seed(step))
        assert {term.device.type for term in terms.values()} == {"meta"}
    for module in task.modules.values():
        assert {p.device.type for p in module.parameters()} == {"meta"}
