"""One iteration of the full-size task is the group's, number by number ("training_step" card).

WARPRES_BENCH_FULL_SIZE_TRAINING=1 runs it: four minutes of one core, 9 GB. `test_training_pieces.py` holds its pieces.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.core.checkpoint import read_checkpoint
from methods.discriminators import load_discriminator, nvidia_names
from methods.registry import Checkpoint
from methods.styleres.adapter import build_released
from methods.styleres.names import GENERATOR, official_name
from methods.training import losses
from methods.training.full_size.networks import Networks
from methods.training.full_size.options import CycleWeights, Options, Weights
from methods.training.full_size.passes import Edit, Pass
from methods.training.full_size.terms import Reference
from methods.training.loss_networks import LossNetworks, feature_loss, load_identity, load_vgg16
from methods.training.processes import Processes
from methods.training.recipe import Recipe
from methods.training.task import Context
from methods.training.tasks.full_size import FullSizeTask
from tests import filling
from tests.benchmarks.full_size_training import draw_images
from tests.parity.comparison import channel_groups, pooled, windows
from tests.parity.training import TrainingGolden

pytestmark = [
    pytest.mark.parity,
    pytest.mark.slow,
    pytest.mark.skipif(
        os.environ.get("WARPRES_BENCH_FULL_SIZE_TRAINING") != "1",
        reason="WARPRES_BENCH_FULL_SIZE_TRAINING=1 runs a whole step at 1024 px: four minutes, 9 GB",
    ),
]
# The group's weights where they are not the paper's.
WEIGHTS = Weights(regulariser=5.0, flow=0.0)
CYCLE = CycleWeights(identity=0.1)
SAME = 2e-4  # share of the largest value: codes, images, features


@pytest.fixture(autouse=True)
def _gradients() -> Iterator[None]:
    # The folder's other tests run without.
    with torch.inference_mode(False), torch.enable_grad():
        yield


@dataclass
class Step:
    """The task, real images, their edit and the first pass."""

    task: FullSizeTask
    real: Tensor
    edit: Edit
    first: Pass

    @property
    def reference(self) -> Reference:
        return Reference(self.task.networks.losses, self.real, Processes())


def task_of(filled: Callable[..., Any], folder: Path) -> FullSizeTask:
    """The full-size task on the golden's networks: the released StyleRes file, trained on."""
    options = Options("faces", "styleres", arch="styleres", weights=WEIGHTS, cycle=CYCLE, held_out=0)
    with filled("styleres_ffhq") as (path,):
        base, model = build_released("faces", Checkpoint(path, read_checkpoint(path)))
    with filled("nvidia_discriminator_256") as (path,):
        discriminator = load_discriminator(path).train().requires_grad_(True)
    with filled("vgg16_keras") as (vgg,), filled("arcface_irse50") as (arcface,):
        judges = LossNetworks(load_vgg16(vgg), load_identity(arcface, "faces"))
    frozen: Any = base
    networks = Networks(frozen.eval().requires_grad_(False), model.train(), discriminator, judges, None)
    recipe = Recipe("faces/golden", "full_size", 0, 1, 2, 1e-4, "styleres.safetensors")
    data = draw_images(folder, 2)
    return FullSizeTask(recipe, options, Context(folder, data=data), networks, data)


def test_one_iteration(filled: Callable[..., Any], tmp_path: Path) -> None:
    expected = TrainingGolden("styleres_training_step")
    task = task_of(filled, tmp_path)
    real = filling.golden_image(0, 2, 256)
    with torch.no_grad():
        codes, features = task.passes.encode(real)
    w_r = torch.from_numpy(filling.fill("w_r", (512,), ["normal", 1.0]))
    factor = filling.fill("edit_factor", (1,), ["uniform", 4.0, 5.0])
    expected.close("w_r", w_r)
    expected.close("edit_factor", factor)
    expected.close("alpha", factor / 10)
    edited = torch.tensor([False, True])
    delta = edited[:, None, None] * float(factor[0]) / 10 * (w_r - codes)
    edit = Edit(delta, edited)
    first = task.passes.first(codes, features, edit)
    expected.near("codes", codes, SAME)
    expected.near("codes_edited", codes + delta, SAME)
    step = Step(task, real, edit, first)
    _images(expected, task, "first", first)
    expected.near("deltaF_first_pool", _features(first.rendered.addition.detach()), SAME)
    assert first.rendered.gate is not None
    expected.near("gate_first", first.rendered.gate.detach()[:, :, ::4, ::4], SAME)
    _discriminator(expected, step)
    parts, first_total = _first_pass(expected, step)
    back, second_total = _second_pass(expected, step)
    _update(expected, task, [*parts, back], first_total + second_total)
    assert expected.unseen() <= {"d_r1_grad_norm", "d_r1_grad_probe", "d_r1_grad_norm_all"}  # `test_training_pieces`


def _features(x: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(channel_groups(x, 16), 16)


def _images(expected: TrainingGolden, task: FullSizeTask, name: str, made: Pass) -> None:
    image = made.image.detach()
    with torch.no_grad():
        tapped = task.model.prefix(task.networks.generator, made.codes).state.x
    expected.near(f"F_g_{name}_pool", _features(tapped), SAME)
    expected.near(f"picture_{name}_pool", pooled(image), SAME)
    expected.near(f"picture_{name}_crop", windows(image), SAME)
    expected.close(f"picture_{name}_std", image.flatten(1).std(1))
    expected.near(f"F_0_{name}_pool", _features(made.features), SAME)


def _discriminator(expected: TrainingGolden, step: Step) -> None:
    """D's step: its scores and terms with the loaded weights, its gradient, and how far it moved."""
    task, network = step.task, step.task.discriminator
    named = dict(network.named_parameters())
    names = {theirs: ours for theirs, ours in nvidia_names(256).items() if ours in named}
    before = {theirs: named[ours].detach().clone() for theirs, ours in names.items()}
    made = step.first.image.detach()
    with torch.no_grad():
        real_scores, made_scores = network(step.real), network(made)
        expected.close("d_real_scores", real_scores)
        expected.close("d_fake_scores", made_scores)
        expected.close("d_loss_real", F.softplus(-real_scores).mean())
        expected.close("d_loss_fake", F.softplus(made_scores).mean())
        expected.close("adversarial_before_d_step", F.softplus(-made_scores).mean())
    shown = task.step_discriminator(0, step.real, step.first)
    expected.close("d_r1_penalty", shown["r1"] / 5)
    expected.close("d_total", shown["discriminator"] + shown["r1"])
    gradients = {theirs: named[ours].grad for theirs, ours in names.items()}
    found = {name: value for name, value in gradients.items() if value is not None}
    expected.parameter_gradients("d_grad", found, "names_d", norm=2e-4, probe=6e-4)
    expected.norm_of_all("d_grad_norm_all", found, 2e-4)
    now = {theirs: named[ours] for theirs, ours in names.items()}
    _moved(expected, "d_delta_norm", [now[str(n)] - before[str(n)] for n in expected["names_d"]])
    with torch.no_grad():
        expected.close("scores_first_after_d_step", network(made))


def _first_pass(expected: TrainingGolden, step: Step) -> tuple[list[dict[str, Tensor]], Tensor]:
    """The two parts of the first pass's gradient, of its images and of the regulariser, and its weighted sum."""
    task, first, reference = step.task, step.first, step.reference
    made = first.image.detach()
    for term, key in (("l2", "pixel"), ("perceptual", "perceptual"), ("identity", "identity")):
        _bare_term(expected, reference, made, torch.tensor([0]), term, key)
    _each_sample(expected, reference, made, "first")
    feature = losses.regulariser(first.rendered.addition.detach())
    expected.close("loss_feature", feature.mean())
    expected.close("loss_feature_per_sample", feature)
    adversarial = task._adversarial(made)
    expected.close("loss_adversarial", adversarial.values["adversarial"] / WEIGHTS.adversarial)
    slope = adversarial.gradient / WEIGHTS.adversarial
    expected.image_gradient("grad_adversarial", slope, norm=5e-4, probe=3e-2)

    roots, values = task.first_roots(first, reference, step.edit)
    (_, on_real), (_, on_judged), (regulariser, _) = roots
    assert on_real is not None and on_judged is not None
    at_image = on_judged + torch.cat([on_real, torch.zeros_like(on_real)])
    expected.image_gradient("e_dfirst", at_image, norm=5e-4, probe=3e-2, window=3e-2)
    of_regulariser = _gradients_of(task, (regulariser, None), keep=True)
    # The last one through this pass frees its 4 GB.
    of_images = _gradients_of(task, (first.image, at_image))
    _model_gradients(expected, "e_grad_first", of_images)
    _model_gradients(expected, "e_grad_freg", of_regulariser)
    assert not any(value.any() for name, value in of_regulariser.items() if "gates.convs2" in name)
    total = torch.stack([value for name, value in values.items() if "/" not in name]).sum()
    return [of_images, of_regulariser], total


def _second_pass(expected: TrainingGolden, step: Step) -> tuple[dict[str, Tensor], Tensor]:
    task, reference = step.task, step.reference
    second = task.passes.second(step.first.image, step.edit)
    expected.near("codes_second", second.codes, SAME)
    expected.near("codes_second_back", second.codes - step.edit.delta, SAME)
    _images(expected, task, "second", second)
    made, rows = second.image.detach(), torch.arange(2)
    for term in ("perceptual", "identity"):
        _bare_term(expected, reference, made, rows, term, f"cycle_{term}")
    _each_sample(expected, reference, made, "second")
    terms = reference.terms(second.image, rows, task.options.cycle, "cycle_")
    expected.image_gradient("e_dsecond", terms.gradient, norm=5e-4, probe=3e-2, window=3e-2)
    found = _gradients_of(task, (second.image, terms.gradient))
    _model_gradients(expected, "e_grad_second", found)
    return found, torch.stack(list(terms.values.values())).sum()


def _bare_term(expected: TrainingGolden, reference: Reference, made: Tensor, rows: Tensor, term: str, key: str) -> None:
    """loss_`key` with weight 1 on the selected samples, and its gradient with respect to all images."""
    alone = replace(CycleWeights(0.0, 0.0, 0.0), **{term: 1.0})
    terms = reference.terms(made[rows], rows, alone)
    expected.close(f"loss_{key}", terms.values[term])
    gradient = torch.zeros_like(made)
    gradient[rows] = terms.gradient
    expected.image_gradient(f"grad_{key}", gradient, norm=5e-4, probe=3e-2)


def _each_sample(expected: TrainingGolden, reference: Reference, made: Tensor, which: str) -> None:
    networks = reference.networks
    with torch.no_grad():
        expected.close(f"per_sample_pixel_{which}", losses.pixel_loss(made, reference.real))
        found = feature_loss(networks.features(made), reference.features)
        expected.close(f"per_sample_perceptual_{which}", found)
        expected.close(f"per_sample_identity_{which}", losses.identity_loss(networks.embed(made), reference.identity))


def _gradients_of(task: FullSizeTask, root: tuple[Tensor, Tensor | None], *, keep: bool = False) -> dict[str, Tensor]:
    """Gradients of what is trained by the file's names; zero where none arrives."""
    named = {official_name(name).removeprefix(GENERATOR): p for name, p in task.model.named_parameters()}
    found = torch.autograd.grad(
        root[0],
        list(named.values()),
        root[1],
        retain_graph=keep,
        allow_unused=True,
    )
    return {
        name: torch.zeros_like(p) if gradient is None else gradient
        for (name, p), gradient in zip(named.items(), found, strict=True)
    }


def _model_gradients(expected: TrainingGolden, key: str, found: dict[str, Tensor]) -> None:
    expected.parameter_gradients(key, found, "names_e", norm=2e-3, probe=5e-3)
    expected.norm_of_all(f"{key}_norm_all", found, 2e-4)


def _update(expected: TrainingGolden, task: FullSizeTask, parts: list[dict[str, Tensor]], total: Tensor) -> None:
    """The whole gradient, and how far Adam's step moves each tensor."""
    expected.close("e_total", total)
    whole = {name: sum((part[name] for part in parts[1:]), parts[0][name]) for name in parts[0]}
    _model_gradients(expected, "e_grad", whole)
    named = {official_name(name).removeprefix(GENERATOR): p for name, p in task.model.named_parameters()}
    before = {name: p.detach().clone() for name, p in named.items()}
    for name, parameter in named.items():
        parameter.grad = whole[name] if whole[name].any() else None
    task._update()
    _moved(expected, "e_delta_norm", [named[str(n)] - before[str(n)] for n in expected["names_e"]])


def _moved(expected: TrainingGolden, key: str, changes: list[Tensor]) -> None:
    # In float64: the norm of four million numbers is off by 3e-4 in float32.
    expected.close(key, np.array([float(change.detach().double().norm()) for change in changes]), rtol=1e-3)
