"""The baselines' trainings on the world: a step moves what is trained and nothing else; files load as methods."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.core.checkpoint import read_checkpoint
from methods import load_method
from methods.training.edit_figures import EditFigures
from methods.training.inversion import InversionTask, start_from
from methods.training.recipe import load_recipe
from methods.training.task import Context
from methods.training.tasks import featurestyle, hfgi, hyperstyle, restyle, styletransformer, w_encoder
from methods.training.tasks.hfgi import homographies, random_perspectives, warp_perspective
from methods.training.world import find

TASKS: dict[str, Any] = {
    "restyle": restyle,
    "w-encoder": w_encoder,
    "hyperstyle": hyperstyle,
    "hfgi": hfgi,
    "styletransformer": styletransformer,
    "featurestyle": featurestyle,
}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small gain nothing from a second thread, and lose much where something else runs."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs with an untrained W encoder, which HyperStyle needs and nobody may have trained yet."""
    folder = tmp_path_factory.mktemp("runs")
    made = task_of("w-encoder", folder)
    (folder / "world" / "w-encoder").mkdir(parents=True)
    made.export(folder / "world" / "w-encoder" / "w-encoder.safetensors", {})
    return folder


@cache
def figures() -> EditFigures:
    return EditFigures(count=2)


def task_of(name: str, folder: Path, **changes: Any) -> Any:
    recipe = replace(load_recipe(f"world/{name}"), batch=2, **changes)
    torch.manual_seed(recipe.seed)
    task = TASKS[recipe.task.replace("_", "-")].build(recipe, Context(folder))
    task.figures = figures()
    return task


def state_of(networks: list[nn.Module]) -> list[Tensor]:
    return [value.clone() for network in networks for value in network.state_dict().values()]


def frozen_of(task: InversionTask) -> list[nn.Module]:
    kept: list[nn.Module] = [task.plain, task.generator, task.critics.describer, task.critics.embedder]
    return kept + [getattr(task, name) for name in ("before", "e4e", "w_encoder") if name in vars(task)]


@pytest.mark.parametrize("name", TASKS)
def test_a_step_moves_what_is_trained_and_nothing_else(name: str, runs: Path) -> None:
    task = task_of(name, runs)
    # A step without the warm-up that regresses known codes, so that every loss of the recipe runs.
    before, frozen = state_of(list(task.modules.values())), state_of(frozen_of(task))
    for group in task.optimisers["model"].param_groups:
        group["lr"] = 1e-3
    with torch.autocast("cpu", torch.bfloat16, enabled=task.recipe.bfloat16):
        shown = task.step(task.recipe.steps - 1, torch.Generator().manual_seed(1))
    assert all(bool(torch.isfinite(value)) for value in shown.values())
    assert {"l2", "perceptual", "identity"} <= set(shown)
    still = [name for name, p in named(task) if p.grad is None or not bool(p.grad.abs().sum())]
    assert not [name for name in still if not name.endswith("bias")], still
    assert any(not torch.equal(a, b) for a, b in zip(before, state_of(list(task.modules.values())), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(frozen, state_of(frozen_of(task)), strict=True))


def named(task: InversionTask) -> list[tuple[str, nn.Parameter]]:
    return [(f"{key}.{name}", p) for key, m in task.modules.items() for name, p in m.named_parameters()]


@pytest.mark.parametrize("name", [name for name in TASKS if name != "w-encoder"])
def test_its_file_loads_as_the_method_beside_its_parts(name: str, runs: Path, tmp_path: Path) -> None:
    task, path = task_of(name, runs), tmp_path / f"{name}.safetensors"
    task.export(path, {"seed": 1})
    metadata = read_checkpoint(path)["metadata"]
    parts = [find(part, runs) for part in metadata["parts"]]
    method: Any = load_method(name, checkpoint=[path, *parts])
    inversion = method.invert(task.figures.images)
    expected = task.method().eval()
    # Stored as float16: equal but for that rounding.
    torch.testing.assert_close(
        method.edit(inversion), expected.edit(expected.invert(task.figures.images)), atol=0.05, rtol=0.05
    )
    assert {"psnr", "mse", "pose+/kept", "smile-/kept"} <= set(metadata["held_out"])
    assert ("psnr_before" in metadata["held_out"]) == (name != "styletransformer")


def test_the_same_seed_and_step_give_the_same_step(runs: Path) -> None:
    """Dropout too: a training that was stopped repeats what it would have done."""
    losses = []
    for _ in range(2):
        task = task_of("styletransformer", runs)
        task.warm_up_steps = 0
        losses.append(task.step(3, torch.Generator().manual_seed(4))["l2"])
        torch.rand(7)  # the global stream moves on
    assert torch.equal(*losses)


def test_restyles_rows_join_one_by_one(runs: Path) -> None:
    task = task_of("restyle", runs, steps=1000)
    assert [task.rows_at(step) for step in (0, 99, 100, 110, 125, 179, 180, 999)] == [1, 1, 2, 3, 4, 9, 10, 10]
    change = torch.randn(2, 10, 64)
    joined = task._joined(change, 110)
    assert torch.equal(joined[:, :3], change[:, :3])
    assert torch.equal(joined[:, 3:], change[:, :1].expand(-1, 7, -1))
    assert torch.equal(task._joined(change, 999), change)


def test_a_backbone_starts_where_another_was_trained(runs: Path) -> None:
    task = task_of("restyle", runs)
    trained, started = task.before.encoder.state_dict(), task.encoder.state_dict()
    assert torch.equal(started["body.3.res_layer.1.weight"], trained["body.3.res_layer.1.weight"])
    assert torch.equal(started["input_layer.0.weight"][:, :3], trained["input_layer.0.weight"])
    assert not torch.equal(started["styles.0.linear.weight"], trained["styles.0.linear.weight"])
    assert start_from(nn.Linear(2, 2), nn.Linear(2, 2)) == 0


def test_the_hypernetwork_starts_near_zero_offsets(runs: Path) -> None:
    task = task_of("hyperstyle", runs)
    offsets = task.hypernet.eval()(torch.randn(2, 6, 64, 64))
    assert sorted(offsets) == list(range(9))
    assert all(0 < float(offset.detach().abs().max()) < 0.2 for offset in offsets.values())


def test_featurestyle_fades_its_map_in(runs: Path) -> None:
    task = task_of("featurestyle", runs, steps=1200)
    assert [round(task.fade(step), 2) for step in (0, 50, 100, 1199)] == [0.0, 0.5, 1.0, 1.0]


def test_perspectives_move_corners_inwards_and_can_be_undone() -> None:
    random = torch.Generator().manual_seed(3)
    maps = random_perspectives(400, 0.15, 0.9, random)
    identity = (maps - torch.eye(3)).abs().amax((1, 2)) < 1e-5
    assert 0.05 < float(identity.float().mean()) < 0.16
    images = torch.nn.functional.avg_pool2d(torch.rand(400, 1, 72, 72, generator=random), 9, 1)
    assert torch.allclose(warp_perspective(images, maps)[identity], images[identity], atol=1e-4)
    # A warped image shrinks towards its middle: its rim, where nothing is seen, is black.
    warped = warp_perspective(torch.ones(400, 1, 64, 64), maps)
    assert float(warped[~identity].mean()) < 0.98
    assert float(warped[:, :, 32, 32].min()) > 0.999


def test_homographies_take_the_four_points_where_they_should_go() -> None:
    source, target = torch.rand(5, 4, 2) + torch.tensor([[0.0, 0], [2, 0], [2, 2], [0, 2]]), torch.rand(5, 4, 2) * 3
    points = torch.cat([source, torch.ones(5, 4, 1)], 2) @ homographies(source, target).transpose(1, 2)
    torch.testing.assert_close(points[..., :2] / points[..., 2:], target, atol=1e-3, rtol=1e-3)
