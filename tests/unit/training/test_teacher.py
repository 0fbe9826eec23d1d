"""The flow teacher: its pairs, its losses, and what it says of itself."""

from __future__ import annotations

import pytest
import torch

from bench.world.scene import FIELDS, Scene
from bench.world.truth import edited
from methods.nets.flow.glunet import Flows
from methods.training.edit_figures import flow_figures
from methods.training.recipe import load_recipe
from methods.training.task import Context
from methods.training.tasks.teacher import KINDS, LEVEL_WEIGHTS, Options, TeacherTask, build, end_point_loss, pairs
from methods.training.world import batch_of_people

NAMES = list(FIELDS)


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> TeacherTask:
    torch.manual_seed(0)
    return build(load_recipe("world/teacher", ["batch=8"]), Context(tmp_path_factory.mktemp("runs")))


@pytest.mark.parametrize("count", [1, 8, 64])
def test_every_pair_has_a_kind(count: int) -> None:
    counts = Options().counts(count)
    assert sum(counts.values()) == count
    assert min(counts.values()) >= 0
    assert count < 8 or min(counts.values()) >= 1


@pytest.mark.parametrize(("kind", "changes"), [("yaw", {"yaw"}), ("smile", {"smile"}), ("both", {"yaw", "smile"})])
def test_single_edits_change_nothing_else(kind: str, changes: set[str]) -> None:
    counts = {name: 8 if name == kind else 0 for name in KINDS}
    source, target = pairs(counts, torch.Generator().manual_seed(1))
    moved = {name for k, name in enumerate(NAMES) if not torch.equal(source.values[:, k], target.values[:, k])}
    assert moved == changes


def test_a_pair_toward_somebody_keeps_the_details() -> None:
    source, target = pairs({"toward": 4, "yaw": 0, "smile": 0, "both": 0}, torch.Generator().manual_seed(1))
    assert torch.equal(source["hat"], target["hat"])
    assert not torch.equal(source["face_width"], target["face_width"])


def test_the_loss_counts_points_that_count() -> None:
    truth = torch.zeros(1, 2, 64, 64)
    truth[:, 0, :32] = 3.0
    above = torch.zeros(1, 64, 64, dtype=torch.bool)
    above[:, :32] = True
    zero = torch.zeros(1, 2, 32, 32)
    assert float(end_point_loss(zero, truth, above)) == pytest.approx(3.0, abs=1e-3)
    assert float(end_point_loss(zero, truth, ~above)) == pytest.approx(0.0, abs=2e-3)
    assert float(end_point_loss(zero, truth, torch.zeros_like(above))) == 0.0, "nothing moves: no loss, no NaN"


def test_slope_tells_how_much_of_a_flow_is_there() -> None:
    truth, moving = torch.ones(1, 2, 4, 4), torch.ones(1, 4, 4, dtype=torch.bool)
    figures = flow_figures(0.25 * truth, truth, moving)
    assert figures["flow_slope"] == pytest.approx(0.25)
    assert figures["flow_epe_moving"] == pytest.approx(0.75 * 2**0.5)


def test_a_step_feels_smiles(task: TeacherTask) -> None:
    before = [p.detach().clone() for p in task.network.parameters()]
    terms = task.step(0, torch.Generator().manual_seed(0))
    assert set(terms) == {f"{name}{kind}" for name in LEVEL_WEIGHTS for kind in ("", "_moving")}
    assert all(float(term) > 0 for term in terms.values())
    gradients = [p.grad for p in task.network.parameters() if p.grad is not None]
    assert all(bool(torch.isfinite(gradient).all()) for gradient in gradients)
    assert any(not torch.equal(p, old) for p, old in zip(task.network.parameters(), before, strict=True))


def test_held_out_figures_of_no_flow_at_all(task: TeacherTask, monkeypatch: pytest.MonkeyPatch) -> None:
    zero = torch.zeros(4, 2, 32, 32)
    monkeypatch.setattr(task.network, "forward", lambda target, source: Flows(zero, zero, zero, zero))
    people = Scene(batch_of_people("val", 4, torch.Generator().manual_seed(5)).values)
    figures = task._figures(people, edited(people, "smile", 0.5))
    assert figures["flow_slope"] == 0.0
    assert figures["flow_epe_moving"] > max(0.5, figures["flow_epe"]), "what moves, moves by half a pixel at least"


def test_sample_pairs_are_four_rows(task: TeacherTask) -> None:
    grid = task.samples()["pairs"]
    assert grid.shape == (3, 4 * 64, 8 * 64)
    assert 0 <= float(grid.min()) <= float(grid.max()) <= 1
