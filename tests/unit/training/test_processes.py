"""Several processes train what one would: the same global batch, averaged gradients, shared statistics."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
import torch

from bench.core.errors import UsageError
from methods.nets.stylegan2.discriminator import minibatch_deviation
from methods.training.processes import Processes
from methods.training.recipe import load_recipe
from methods.training.task import Context
from tests.unit.training.ranks import run_ranks
from tests.unit.training.two_processes import share

START = ('start="styleres.safetensors"', 'chosen_by=""')


def _weights(folder: Path, count: int) -> dict[str, dict[str, torch.Tensor]]:
    """Weights after five steps with `count` processes."""
    run_ranks(share, count, folder)
    found: dict[str, dict[str, torch.Tensor]] = torch.load(folder / "both.pt", weights_only=True)
    return found


def test_two_processes_equal_one(tmp_path: Path) -> None:
    one, two = _weights(tmp_path / "one", 1), _weights(tmp_path / "two", 2)
    compared = 0
    for name, tensors in one.items():
        for key, value in tensors.items():
            difference = float((value.double() - two[name][key].double()).abs().max())
            assert difference <= 1e-5, f"{name}.{key} differs by {difference}"
            compared += 1
    assert compared > 20


def test_a_part_keeps_the_groups_of_the_minibatch_deviation() -> None:
    batch = torch.randn(16, 3, 4, 4)
    whole = minibatch_deviation(batch)
    for rank in range(2):
        mine = Processes(rank, 2)
        assert torch.allclose(minibatch_deviation(mine.part(batch)), mine.part(whole), atol=1e-6)


def test_a_batch_that_cannot_be_divided_is_refused() -> None:
    with pytest.raises(UsageError, match="batch of 9 cannot be divided among 2"):
        Processes(0, 2).size_of_part(9)
    assert Processes().size_of_part(9) == 9


@pytest.mark.parametrize(
    ("recipe", "changes", "says"),
    [
        ("world/styleres", (*START, "batch=16", "edited=0.2"), "an edited part of the batch of 3"),
        ("world/featurestyle", ("batch=6",), "half a batch of 3"),
        ("world/generator", ("anchored=5",), "the anchored part of 5"),
    ],
)
def test_a_part_of_a_batch_that_cannot_be_divided_is_refused_before_the_first_step(
    recipe: str, changes: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    loaded = load_recipe(recipe, list(changes))
    build = import_module(f"methods.training.tasks.{loaded.task}").build
    with pytest.raises(UsageError, match=says):
        build(loaded, Context(tmp_path, processes=Processes(0, 2)))
