"""The residual task on the shipped networks: what a step computes, what it trains, and what its file holds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from bench.core.checkpoint import read_checkpoint, state_dict_of
from bench.core.errors import MissingError, UsageError
from bench.world.networks import WEIGHTS
from methods.registry import load_method
from methods.training.recipe import load_recipe
from methods.training.residual.networks import flow_parts
from methods.training.task import Context
from methods.training.tasks.residual import ResidualTask, build

SMALL = ("batch=4", "figures=4", 'start="styleres.safetensors"')


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


def task_of(runs: Path, recipe: str, *changes: str) -> ResidualTask:
    torch.manual_seed(0)
    return build(load_recipe(recipe, [*SMALL, *changes]), Context(runs))


def stepped(task: ResidualTask, steps: Sequence[int] = (0,)) -> Mapping[str, Tensor]:
    """Terms of the last step."""
    found: Mapping[str, Tensor] = {}
    for step in steps:
        for optimiser in task.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = 1e-3
        found = task.step(step, torch.Generator().manual_seed(step))
    return found


def moved(task: ResidualTask, before: Mapping[str, Tensor]) -> set[str]:
    """Which parts of the model changed."""
    return {name.split(".")[0] for name, value in task.model.named_parameters() if not torch.equal(value, before[name])}


def weights_of(task: ResidualTask) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in task.model.named_parameters()}


def test_the_start_sees_no_edit_and_no_critic_it_does_not_need(runs: Path) -> None:
    task = task_of(runs, "world/residual-start")
    terms = {name for name in stepped(task) if "/" not in name}
    assert terms == {"l2", "perceptual", "regulariser"}
    assert set(task.modules) == {"model"}


@pytest.mark.parametrize("recipe", ["world/styleres", "world/warpres-paper"])
def test_a_step_has_the_terms_of_its_recipe(runs: Path, recipe: str) -> None:
    task = task_of(runs, recipe, *(['flow_start="teacher.safetensors"'] if "warpres" in recipe else []))
    before = weights_of(task)
    first = {name for name in stepped(task, [0]) if "/" not in name}
    paper = {"l2", "perceptual", "identity", "regulariser", "adversarial", "cycle_perceptual", "cycle_identity"}
    expected = paper | {"discriminator"}
    if "warpres" in recipe:
        expected |= {"flow"}
    if "paper" not in recipe:
        expected |= {"w_consistency"} | ({"flow_moving"} if "warpres" in recipe else set())
    assert first == expected
    later = {name for name in stepped(task, [1])}
    assert later == {"l2", "perceptual", "identity", "regulariser"} | (expected & {"flow", "flow_moving"})
    assert moved(task, before) == {"extractor", "injector"} | ({"head", "adapters"} if "warpres" in recipe else set())


def test_the_flow_alone_leaves_the_rest_as_it_is_and_starts_another(runs: Path, tmp_path: Path) -> None:
    task = task_of(runs, "world/flow-start")
    before = weights_of(task)
    assert set(stepped(task)) == {"flow", "flow_moving"}
    assert moved(task, before) == {"head", "adapters"}
    path = tmp_path / "world" / "flow-start" / "flow-start.safetensors"
    path.parent.mkdir(parents=True)
    task.export(path, {})
    assert {name.split(".")[1] for name in state_dict_of(read_checkpoint(path))} == {"head", "adapters"}
    other = task_of(tmp_path, "world/warpres")
    for name, part in flow_parts(other.model).items():
        for ours, theirs in zip(part.parameters(), flow_parts(task.model)[name].parameters(), strict=True):
            assert torch.allclose(ours, theirs, atol=1e-3)  # the file holds float16


def test_pretrained_flow_is_not_trained(runs: Path) -> None:
    task = task_of(runs, "world/warpres-pretrained-flow")
    before, buffers = weights_of(task), {name: value.clone() for name, value in task.model.named_buffers()}
    stepped(task, [0, 1])
    assert moved(task, before) == {"extractor", "injector"}
    assert all(torch.equal(value, buffers[name]) for name, value in task.model.named_buffers())


def test_a_frozen_flow_stays_in_its_teachers_file(runs: Path, tmp_path: Path) -> None:
    task = task_of(runs, "world/warpres-pretrained-flow")
    path = tmp_path / "mine.safetensors"
    task.export(path, {})
    content = read_checkpoint(path)
    assert {name.split(".")[1] for name in state_dict_of(content)} == {"extractor", "injector"}
    files = [path, *(WEIGHTS / part for part in content["metadata"]["parts"])]
    model = load_method("warpres", checkpoint=files).model
    for name, part in flow_parts(model).items():
        for ours, theirs in zip(part.parameters(), flow_parts(task.model)[name].parameters(), strict=True):
            assert torch.equal(ours, theirs)
    with pytest.raises(MissingError, match=r"both hold head\."):
        load_method("warpres", checkpoint=[WEIGHTS / "warpres.safetensors", *files[1:]])


def test_cycle_may_let_gradients_through(runs: Path) -> None:
    parts = {}
    for kind in ("detach", "through"):
        task = task_of(runs, "world/styleres-paper", f'cycle_grad="{kind}"', "cycle.perceptual=10.0", "clip=0.0")
        stepped(task)
        parts[kind] = torch.cat([p.grad.flatten() for p in task.model.parameters() if p.grad is not None])
    assert not torch.allclose(parts["detach"], parts["through"], rtol=0.05)


def test_half_precision_gradients_point_where_float32_points(runs: Path) -> None:
    gradients = []
    for half in ("true", "false"):
        task = task_of(
            runs, "world/warpres", 'flow_start="teacher.safetensors"', f"bfloat16={half}", "clip=0.0", "batch=16"
        )
        stepped(task)
        gradients.append(torch.cat([p.grad.flatten() for p in task.model.parameters() if p.grad is not None]))
    assert float(torch.nn.functional.cosine_similarity(*gradients, dim=0)) >= 0.995


def test_a_step_without_any_loss_is_told(runs: Path) -> None:
    zero = ("weights.l2=0", "weights.perceptual=0", "weights.regulariser=0")
    with pytest.raises(UsageError, match="no loss has a weight"):
        stepped(task_of(runs, "world/residual-start", *zero))


def test_what_is_measured_and_written(runs: Path, tmp_path: Path) -> None:
    task = task_of(runs, "world/warpres", 'flow_start="teacher.safetensors"')
    path = tmp_path / "warpres.safetensors"
    task.export(path, {"recipe": "world/warpres"})
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    figures, made = json.loads(metadata["held_out"]), json.loads(metadata["made"])
    assert made["weights"]["w_consistency"] > 0
    assert {"psnr", "asked_psnr", "pose+/kept", "smile-/psnr_asked", "smile+/flow_slope", "flow_without_edit"} <= set(
        figures
    )
    scores = [figures["psnr"], *(figures[f"{name}/psnr_asked"] for name in ("pose+", "pose-", "smile+", "smile-"))]
    assert figures["asked_psnr"] == pytest.approx(sum(scores) / 5, abs=1e-3)
    assert task.samples()["edits"].shape == (3, 11 * 64, 4 * 64)
    assert task_of(runs, "world/styleres").samples()["edits"].shape == (3, 8 * 64, 4 * 64), (
        "no rows for a flow it lacks"
    )
