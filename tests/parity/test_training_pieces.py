"""The pieces of a full-size training give the group's values and gradients ("training_step" card 6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from methods.discriminators import load_discriminator, nvidia_names
from methods.training import losses
from methods.training.loss_networks import feature_loss, load_identity, load_vgg16
from methods.training.optimisers import TensorFlowAdam
from methods.training.recipe import load_recipe
from tests import filling
from tests.parity.comparison import channel_groups
from tests.parity.training import TrainingGolden

pytestmark = pytest.mark.parity


@pytest.fixture(autouse=True)
def _gradients() -> Iterator[None]:
    # The folder's other tests run without.
    with torch.inference_mode(False), torch.enable_grad():
        yield


def pair() -> tuple[Tensor, Tensor]:
    """A real and a made image, two of each; the made ones take gradients."""
    return filling.golden_image(0, 2, 256), filling.golden_image(100, 2, 256).requires_grad_(True)


def test_perceptual_loss(filled: Callable[..., Any]) -> None:
    expected = TrainingGolden("perceptual_vgg16")
    with filled("vgg16_keras") as (path,):
        network = load_vgg16(path)
    real, made = pair()
    (there,), (here,) = network(real), network(made)
    for name, x in (("real", there), ("fake", here.detach())):
        expected.near(f"feature_{name}_pool", torch.nn.functional.adaptive_avg_pool2d(channel_groups(x, 16), 16), 1e-4)
        expected.close(f"feature_{name}_mean", x.mean())
        expected.close(f"feature_{name}_std", x.std())
    expected.near("feature_fake_first", here[:, ::32, :8, :8], 1e-4)
    per_sample = feature_loss([here], [there])
    expected.close("loss_per_sample", per_sample, rtol=1e-5)
    expected.close("loss", per_sample.mean(), rtol=1e-5)
    (gradient,) = torch.autograd.grad(per_sample.mean(), made)
    _image(expected, "grad_fake", gradient)
    assert not expected.unseen()


def test_identity_loss(filled: Callable[..., Any]) -> None:
    expected = TrainingGolden("identity_loss")
    with filled("arcface_irse50") as (path,):
        network = load_identity(path, "faces")
    real, made = pair()
    there, here = network(real), network(made)
    expected.close("embedding_real", there, rtol=0, atol=1e-5)
    expected.close("embedding_fake", here, rtol=0, atol=1e-5)
    per_sample = losses.identity_loss(here, there)
    expected.close("cosine", 1 - per_sample, rtol=0, atol=1e-5)
    expected.close("loss", per_sample.mean(), rtol=0, atol=1e-5)
    (gradient,) = torch.autograd.grad(per_sample.mean(), made)
    _image(expected, "grad_fake", gradient)
    assert not expected.unseen()


def test_discriminator_step(filled: Callable[..., Any]) -> None:
    expected = TrainingGolden("nvidia_discriminator_step")
    with filled("nvidia_discriminator_256") as (path,):
        network = load_discriminator(path).requires_grad_(True)
    ours = {theirs: dict(network.named_parameters()).get(name) for theirs, name in nvidia_names(256).items()}
    weights = {name: value for name, value in ours.items() if value is not None}
    real, made = pair()
    real.requires_grad_(True)
    real_scores, made_scores = network(real), network(made)
    (slope,) = torch.autograd.grad(real_scores.sum(), real, create_graph=True)
    penalty = slope.square().flatten(1).sum(1).mean()
    total = losses.discriminator_loss(real_scores, made_scores) + 5 * penalty

    for key, value in (
        ("real_scores", real_scores),
        ("fake_scores", made_scores),
        ("loss_fake", torch.nn.functional.softplus(made_scores).mean()),
        ("loss_real", torch.nn.functional.softplus(-real_scores).mean()),
        ("r1_penalty", penalty),
        ("total", total),
    ):
        expected.close(key, value, atol=1e-6 if "scores" in key else 0)
    bare = torch.autograd.grad(penalty, list(weights.values()), retain_graph=True, allow_unused=True)
    unused = {str(name) for name, flag in zip(expected["names"], expected["r1_unused"], strict=True) if flag}
    assert {name for name, value in zip(weights, bare, strict=True) if value is None} == unused
    penal = {n: torch.zeros_like(w) if g is None else g for (n, w), g in zip(weights.items(), bare, strict=True)}
    # Biases that R1 hardly reaches carry rounding, no gradient.
    expected.parameter_gradients("r1_grad", penal, "names", norm=2e-2, probe=5e-2, floor=1e-12)
    expected.norm_of_all("r1_grad_norm_all", penal, 1e-4)
    logistic = losses.discriminator_loss(real_scores, made_scores)
    slopes = torch.autograd.grad(logistic, list(weights.values()), retain_graph=True)
    found = {name: g + 5 * penal[name] for name, g in zip(weights, slopes, strict=True)}
    expected.parameter_gradients("grad", found, "names", norm=2e-4, probe=6e-4)
    expected.norm_of_all("grad_norm_all", found, 1e-4)
    _image(expected, "grad_score_real", slope.detach())

    adversarial = losses.generator_adversarial(network(made)).mean()
    expected.close("adversarial", adversarial)
    _image(expected, "grad_adversarial_fake", torch.autograd.grad(adversarial, made)[0])
    expected.close("real_scores_batch1", torch.cat([network(image[None]) for image in real]), atol=1e-6)
    assert not expected.unseen()


def _image(expected: TrainingGolden, key: str, gradient: Tensor) -> None:
    expected.image_gradient(key, gradient, norm=1e-3, probe=2e-2, window=2e-2)


@pytest.mark.parametrize("plain", [False, True])
def test_adam_has_epsilon_where_the_group_has_it(plain: bool) -> None:
    expected = TrainingGolden("group_adam")
    parameter = torch.nn.Parameter(torch.zeros(7, 64))
    kind: Any = torch.optim.Adam if plain else TensorFlowAdam
    optimiser = kind([parameter], lr=1e-4, betas=(0.9, 0.99), eps=1e-8)
    scale = torch.from_numpy(expected["row_scale"])[:, None]
    for step in range(4):
        parameter.grad = torch.from_numpy(filling.fill(f"adam_grad_{step}", (7, 64), ["normal", 1.0])) * scale
        optimiser.step()
        key = f"param_after_{step + 1}" if not plain else f"plain_torch_adam_after_{step + 1}"
        expected.close(key, parameter, rtol=1e-5, atol=1e-9)
    if plain:
        off = np.abs(expected["param_after_1"] - expected["plain_torch_adam_after_1"])
        assert (off[2:] > 1e-3 * np.abs(expected["param_after_1"][2:])).all()


@pytest.mark.parametrize("name", ["faces/styleres", "cars/styleres"])
def test_rate_halves_after_the_iterations_of_the_paper(name: str) -> None:
    expected, recipe = TrainingGolden("group_adam"), load_recipe(name)
    rates = [recipe.rate_at(int(iteration) - 1) for iteration in expected["lr_iteration"]]
    expected.close("lr", rates, rtol=1e-12)
