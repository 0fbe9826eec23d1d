"""The discriminator of w is one thing in all tasks, and is left out where its weight is 0."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

from methods.training.codes_critic import CodesCritic
from methods.training.recipe import load_recipe
from methods.training.task import Context

TERMS = {"w_discriminator", "w_adversarial"}


@pytest.mark.parametrize(
    ("name", "there"), [("world/e4e", True), ("world/psp", False), ("world/restyle", True), ("world/w-encoder", True)]
)
def test_a_task_learns_with_it_or_has_none(name: str, there: bool, tmp_path: Path) -> None:
    recipe = load_recipe(name, ("batch=2",))
    task: Any = import_module(f"methods.training.tasks.{recipe.task}").build(recipe, Context(tmp_path))
    assert isinstance(task.critic, CodesCritic) is there
    assert ("codes_critic" in task.modules) is ("codes_critic" in task.optimisers) is there
    network = task.modules.get("codes_critic", torch.nn.Identity())
    before = [value.clone() for value in network.parameters()]
    found = task.step(recipe.steps - 1, torch.Generator().manual_seed(0))
    assert TERMS & found.keys() == (TERMS if there else set())
    assert not any(torch.equal(old, new) for old, new in zip(before, network.parameters(), strict=True))
