"""The full-size task's arithmetic, switches and files, with small networks in the released ones' places."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from methods.nets.flow.glunet import FlowConfig
from methods.nets.flow.network import FlowNet
from methods.nets.flow.vgg_pyramid import PyramidConfig
from methods.nets.stylegan2 import Discriminator, DiscriminatorConfig
from methods.registry import load_method
from methods.styleres.network import ResidualConfig
from methods.styleres.pipeline import StyleRes, StyleResConfig
from methods.training.averaging import Average
from methods.training.checkpoints import load_checkpoint
from methods.training.full_size.networks import Networks
from methods.training.full_size.options import Options
from methods.training.full_size.passes import Edit
from methods.training.loop import train
from methods.training.loss_networks import LossNetworks
from methods.training.processes import Processes
from methods.training.recipe import Recipe
from methods.training.task import Context
from methods.training.tasks.full_size import FullSizeTask
from methods.warpres.network import WarpRes, WarpResConfig
from tests.unit.methods.small import write_small
from tests.unit.training.ranks import run_ranks

PYRAMID = PyramidConfig(widths=((8,), (8,), (8,), (12,)))
FLOW = FlowConfig(picture=64, grid=8, channels=PYRAMID.channels, decoder_widths=(8,) * 5, refine_widths=(8,) * 6)
RESIDUAL = ResidualConfig(width=8, base_channels=16, feature_channels=12)
PLAIN = StyleResConfig(RESIDUAL, feature_res=32, base_tap=1)
WARPED = WarpResConfig(RESIDUAL, 32, 1, flow=FLOW, flow_layers=(2, 4, 5), flow_inputs=(16, 16, 12), pyramid=PYRAMID)
STEPS, SEED = 4, 1


class Features(nn.Module):
    """In Phi's place: two maps."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 6, 3, stride=2)

    def forward(self, images: Tensor) -> list[Tensor]:
        x = self.first(images).relu()
        return [x, self.second(x).relu()]


class Embedding(nn.Module):
    """In A's place: unit vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3 * 64, 8)

    def forward(self, images: Tensor) -> Tensor:
        x = nn.functional.adaptive_avg_pool2d(images, 8).flatten(1)
        return nn.functional.normalize(self.linear(x), dim=1)


def photographs(folder: Path, count: int = 4, size: int = 128) -> Path:
    folder.mkdir(exist_ok=True)
    random = np.random.default_rng(0)
    for index in range(count):
        coarse = Image.fromarray(random.integers(0, 255, (6, 6, 3), dtype=np.uint8))
        coarse.resize((size, size), Image.Resampling.BICUBIC).save(folder / f"{index}.png")
    return folder


def options(model: str = "warpres", **changes: Any) -> Options:
    weights = {"flow": 1.0 if model == "warpres" else 0.0}
    given = {"domain": "faces", "model": model, "adapter_warm_up": 0, "held_out": 0, "workers": 1} | changes
    return Options(**given, weights=replace(Options("faces", "warpres").weights, **weights))  # type: ignore[arg-type]


def recipe(**changes: Any) -> Recipe:
    return replace(Recipe("faces/test", "full_size", 3, STEPS, 4, 1e-3, "out.safetensors"), **changes)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small(tmp_path_factory.mktemp("base"), "e4e", "faces")


@pytest.fixture(scope="module")
def base(checkpoint: Path) -> Any:
    return load_method("e4e", checkpoint=checkpoint)


def small_task(base: Any, chosen: Options, plan: Recipe, context: Context) -> FullSizeTask:
    """A task of small networks on the images of a context."""
    torch.manual_seed(0)
    teacher = FlowNet(FLOW, PYRAMID).eval().requires_grad_(False)
    model: StyleRes = StyleRes(PLAIN) if chosen.model == "styleres" else WarpRes(WARPED)
    discriminator = Discriminator(DiscriminatorConfig(64, {4: 8, 8: 8, 16: 8, 32: 8, 64: 8}))
    losses = LossNetworks(Features().requires_grad_(False), Embedding().requires_grad_(False))  # type: ignore[arg-type]
    networks = Networks(base, model, discriminator, losses, None if chosen.model == "styleres" else teacher)
    assert context.data is not None
    return FullSizeTask(plan, chosen, context, networks, context.data)


@pytest.fixture
def make(base: Any, tmp_path: Path) -> Callable[..., FullSizeTask]:
    """`make(options, recipe)`: a small task on four images."""
    context = Context(tmp_path, data=photographs(tmp_path / "data"))
    return lambda chosen, plan=None: small_task(base, chosen, plan or recipe(), context)


def stepped(task: FullSizeTask, step: int = 0) -> dict[str, float]:
    return {name: float(v) for name, v in task.step(step, torch.Generator().manual_seed(step + SEED)).items()}


def test_a_check_takes_no_more_images_at_once_than_a_step(
    base: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    monkeypatch.setattr("methods.training.full_size.judging.figures", lambda *given: taken.append(given[-1]))
    context = Context(tmp_path, data=photographs(tmp_path / "data"), processes=Processes(0, 2))
    small_task(base, options("styleres"), recipe(), context).check()
    assert taken == [2]  # of a batch of four


@pytest.mark.parametrize("model", ["styleres", "warpres"])
def test_gradients_reach_what_is_trained_and_nothing_else(model: str, make: Callable[..., FullSizeTask]) -> None:
    task = make(options(model))
    found = stepped(task)
    assert all(np.isfinite(value) for value in found.values())
    assert {"l2", "perceptual", "identity", "adversarial", "regulariser", "cycle_perceptual"} <= found.keys()
    assert ("flow" in found) == (model == "warpres")
    for network in (task.model, task.discriminator):
        without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum()]
        # A convolution's bias before a batch norm has no gradient by construction.
        assert len(without) <= 0.1 * len(list(network.parameters())), without
    frozen = [task.networks.base, task.networks.losses.perceptual, task.networks.losses.identity, task.networks.teacher]
    for frozen_network in filter(None, frozen):
        assert all(p.grad is None for p in frozen_network.parameters())  # type: ignore[attr-defined]


def test_terms_are_means_over_the_selected_samples(make: Callable[..., FullSizeTask]) -> None:
    edited = stepped(make(options(edit_share=1.0)))
    assert not {"l2", "perceptual", "identity"} & edited.keys()
    plain = make(options(edit_share=0.0))
    found = stepped(plain)
    assert found["flow"] >= 0 and "l2" in found
    task, random = make(options(edit_share=0.5)), torch.Generator().manual_seed(SEED)
    real = task._real(0, random)
    codes, features = task.passes.encode(real)
    edit = task._edit(codes, random)
    assert 0 < int(edit.edited.sum()) < 4
    task._set_modes(0)
    first = task.passes.first(codes, features, edit)
    rows = ~edit.edited
    expected = (first.image - real).square()[rows].mean()
    assert stepped(task)["l2"] == pytest.approx(expected.item(), rel=1e-5)


def test_two_backward_passes_are_one(make: Callable[..., FullSizeTask]) -> None:
    """Cutting the graph at the images changes no gradient: held against the sum of all losses written out."""
    task = make(options(edit_share=0.5, tf_epsilon=False))
    random = torch.Generator().manual_seed(SEED)
    task._set_modes(0)
    task.model.eval()  # batch norms would move between the two
    real = task._real(0, random)
    codes, features = task.passes.encode(real)
    edit = task._edit(codes, random)
    weights, cycle, nets = task.options.weights, task.options.cycle, task.networks.losses
    first = task.passes.first(codes, features, edit)
    second = task.passes.second(first.image, edit)
    still = ~edit.edited

    def reconstruction(made: Tensor, rows: Tensor, by: Any) -> Tensor:
        x, y = made[rows], real[rows]
        perceptual = sum((a - b).square().mean() for a, b in zip(nets.features(x), nets.features(y), strict=True))
        identity = (1 - (nets.embed(x) * nets.embed(y)).sum(1)).mean()
        return by.l2 * (x - y).square().mean() + by.perceptual * perceptual + by.identity * identity

    everything = torch.ones_like(still)
    adversarial = nn.functional.softplus(-task.discriminator(first.image)).mean()
    cells = task.passes.teacher_cells(codes, edit)
    total = (
        reconstruction(first.image, still, weights)
        + reconstruction(second.image, everything, cycle)
        + weights.adversarial * adversarial
        + weights.regulariser * first.rendered.addition.abs().mean()
        + weights.flow * (first.rendered.cells - cells).abs().mean()  # type: ignore[operator]
    )
    parameters = list(task.model.parameters())
    expected = torch.autograd.grad(total, parameters)
    task.optimisers["discriminator"] = torch.optim.SGD(task.discriminator.parameters(), lr=0.0)
    task._update = lambda: None  # type: ignore[method-assign]
    task.iterate(0, real, codes, features, edit)
    for parameter, wanted in zip(parameters, expected, strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, wanted, rtol=1e-3, atol=1e-6)


def test_the_discriminator_is_stepped_first_and_the_model_sees_the_stepped_one(
    make: Callable[..., FullSizeTask],
) -> None:
    first, last = stepped(make(options())), stepped(make(options(discriminator_first=False)))
    assert first["discriminator"] == pytest.approx(last["discriminator"], rel=1e-5)
    assert first["adversarial"] != last["adversarial"]
    assert first["l2"] == last["l2"]


SWITCHES: list[dict[str, Any]] = [
    {"path_choice": "batch"},
    {"cycle_grad": "through"},
    {"cycle_on": "edited"},
    {"vgg_input_scale": 1.0},
    {"d_precision": "bfloat16"},
    {"tf_epsilon": False},
    {"clip": 0.1},
    {"mirror": False},
    {"r1_gamma": 0.0},
    {"r1_every": 2},
    {"alpha": (0.1, 0.2)},
    {"flow_norm": "train"},
    {"adapter_warm_up": 2, "flow_norm_steps": 1},
    {"d_res": "native", "d_start": "scratch"},
]


@pytest.mark.parametrize("switch", SWITCHES, ids=lambda switch: next(iter(switch)))
def test_every_switch_trains(switch: dict[str, Any], make: Callable[..., FullSizeTask]) -> None:
    task = make(options(**switch))
    for step in range(3):
        found = stepped(task, step)
        assert all(np.isfinite(value) for value in found.values()), found
    if switch.get("path_choice") == "batch":
        codes = torch.zeros(4, 10, 24)
        assert {int(task._edit(codes, torch.Generator().manual_seed(s)).edited.sum()) for s in range(9)} == {0, 4}
    if "r1_gamma" in switch:
        assert "r1" not in found


def test_gradients_go_through_the_first_image_only_when_asked(make: Callable[..., FullSizeTask]) -> None:
    gradients = {}
    for way in ("detach", "through"):
        task = make(options(cycle_grad=way, edit_share=1.0))
        codes, _ = task.passes.encode(torch.rand(2, 3, 64, 64) * 2 - 1)
        random = torch.Generator().manual_seed(1)
        edit = task.passes.edit(codes, torch.randn(2, 24, generator=random), torch.ones(2) / 2, torch.ones(2) > 0)
        made = torch.rand(2, 3, 64, 64, generator=random).requires_grad_(True)
        task.passes.second(made, edit).image.square().mean().backward()
        gradients[way] = made.grad
    assert gradients["detach"] is None
    assert gradients["through"] is not None and gradients["through"].abs().max() > 0


def test_the_warm_up_trains_the_adapters_alone_and_settles_the_norms(make: Callable[..., FullSizeTask]) -> None:
    task = make(options(adapter_warm_up=3, flow_norm_steps=1))
    before = {name: value.clone() for name, value in task.model.state_dict().items()}
    stepped(task, 0)
    changed = {name for name, value in task.model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed and all(name.startswith("adapters.") for name in changed)
    stepped(task, 2)
    norms = {n for n, v in task.model.state_dict().items() if "running" in n and not torch.equal(v, before[n])}
    assert norms
    settled = {name: value.clone() for name, value in task.model.state_dict().items() if "running" in name}
    stepped(task, 3)
    assert all(torch.equal(task.model.state_dict()[name], value) for name, value in settled.items())


def test_a_killed_training_goes_on_bit_equal_and_its_export_is_the_method(
    make: Callable[..., FullSizeTask], checkpoint: Path, tmp_path: Path
) -> None:
    chosen, plan = options(adapter_warm_up=1, flow_norm_steps=1, base_generator="own"), replace(recipe(), average=3)
    whole, cut = make(chosen, plan), make(chosen, plan)
    train(whole, plan, tmp_path / "whole")
    train(cut, plan, tmp_path / "cut", until=2)
    again = make(chosen, plan)
    train(again, plan, tmp_path / "cut")
    for name, module in whole.modules.items():
        for key, value in module.state_dict().items():
            assert torch.equal(value, again.modules[name].state_dict()[key]), (name, key)
    method = load_method("warpres", checkpoint=[checkpoint, tmp_path / "cut/out.safetensors"])
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    inversion, delta = method.invert(images), 0.2 * torch.randn(10, 24)
    average = Average.of(again.modules, plan.average, plan.batch)
    average.load_state_dict((load_checkpoint(tmp_path / "cut") or {})["average"])
    with torch.no_grad(), average.used():
        passes = again._passes_in_eval()
        codes, features = passes.encode(images)
        for moved in (torch.zeros_like(delta), delta):
            made = passes.first(codes, features, Edit(moved.expand_as(codes), torch.ones(2) > 0)).rendered.image
            torch.testing.assert_close(method.edit(inversion, moved), made, rtol=0, atol=1e-4)


def test_held_out_figures(make: Callable[..., FullSizeTask], tmp_path: Path) -> None:
    photographs(tmp_path / "data", 12)
    task = make(options(held_out=5))
    assert len(task.images.held_out) == 1
    found = task.check()
    assert {"mse", "identity", "addition", "flow_to_teacher_cells", "teacher_flow_cells"} == found.keys()
    assert found == task.check()
    (shown,) = task.samples().values()
    assert shown.shape == (3, 5 * 64, 64)


@pytest.mark.slow
def test_two_processes_train_what_one_does(checkpoint: Path, tmp_path: Path) -> None:
    from tests.unit.training.share_full_size import share  # which imports this file

    photographs(tmp_path / "data")
    found = []
    for processes in (1, 2):
        run_ranks(share, processes, checkpoint, tmp_path)
        found.append(torch.load(tmp_path / f"{processes}.pt", weights_only=True))
    one, two = found
    assert len(one) > 50
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=0, atol=1e-5, msg=name)


def test_a_process_without_a_selected_sample_names_the_same_losses(base: Any, tmp_path: Path) -> None:
    class Others(Processes):
        """Another process has one selected sample more."""

        def total(self, value: Tensor) -> Tensor:
            return value + 1

    context = Context(tmp_path, processes=Others(0, 1), data=photographs(tmp_path / "data"))
    task = small_task(base, options(edit_share=1.0, cycle_on="edited"), recipe(), context)
    found = stepped(task)
    assert found["l2"] == found["perceptual"] == found["gradient/identity"] == 0
    task = small_task(base, options(edit_share=0.0, cycle_on="edited"), recipe(), context)
    found = stepped(task)
    assert found["cycle_perceptual"] == found["gradient/cycle_identity"] == 0
    assert found["l2"] > 0
    alone = small_task(
        base, options(edit_share=0.0, cycle_on="edited"), recipe(), replace(context, processes=Processes())
    )
    assert "cycle_perceptual" not in stepped(alone)


# --- images
