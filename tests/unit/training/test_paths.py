"""The two paths and the losses of StyleRes and WarpRes, at the world's sizes with untrained networks."""

from __future__ import annotations

import pytest
import torch

from methods.nets.pyramid import PyramidEncoder
from methods.nets.stylegan2 import Generator
from methods.styleres.pipeline import StyleRes
from methods.training import losses
from methods.training.paths import Base, cycle_pass, first_pass, simulate_edit
from methods.training.world import ENCODER, GENERATOR
from methods.warpres.network import WarpRes
from methods.warpres.presets import WORLD_STYLERES, WORLD_WARPRES


@pytest.fixture(scope="module")
def base() -> Base:
    torch.manual_seed(0)
    encoder, generator = PyramidEncoder(ENCODER).eval(), Generator(GENERATOR)
    return Base(encoder.requires_grad_(False), torch.zeros(GENERATOR.style_dim), generator.requires_grad_(False))


def test_simulated_edits_follow_equation_2(base: Base) -> None:
    codes = torch.randn(400, 10, 64)
    edit = simulate_edit(base, codes, torch.Generator().manual_seed(1))
    assert 0.4 < edit.edited.float().mean() < 0.6
    assert edit.delta[~edit.edited].abs().max() == 0
    # W + delta = W + alpha (W_r - W): the difference of two rows of the result shrinks by 1 - alpha.
    moved = (codes + edit.delta)[edit.edited]
    before = codes[edit.edited]
    kept = (moved[:, 0] - moved[:, 1]).norm(dim=1) / (before[:, 0] - before[:, 1]).norm(dim=1)
    assert kept.min() >= 0.5 - 1e-4
    assert kept.max() <= 0.6 + 1e-4


@pytest.mark.parametrize("model", [StyleRes(WORLD_STYLERES), WarpRes(WORLD_WARPRES)], ids=["styleres", "warpres"])
def test_gradients_reach_what_is_trained_and_nothing_else(model: StyleRes, base: Base) -> None:
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    codes, taps = base.encode(images)
    edit = simulate_edit(base, codes, torch.Generator().manual_seed(2), share=1.0)
    _, rendered = first_pass(model, base, codes, taps, edit)
    assert rendered.image.shape == (2, 3, 64, 64)
    cycle_pass(model, base, rendered.image, edit).image.square().mean().backward()
    missing = [name for name, p in model.named_parameters() if p.grad is None]
    assert not missing
    assert all(p.grad is None for p in base.generator.parameters())
    assert all(p.grad is None for p in base.encoder.parameters())


def test_cycle_takes_no_gradient_through_the_first_pass(base: Base) -> None:
    model = StyleRes(WORLD_STYLERES)
    image = torch.rand(2, 3, 64, 64, requires_grad=True)
    codes, _ = base.encode(image)
    edit = simulate_edit(base, codes, torch.Generator().manual_seed(3), share=1.0)
    cycle_pass(model, base, image, edit).image.mean().backward()
    assert image.grad is None


def test_losses_are_per_sample_means() -> None:
    made, real = torch.zeros(3, 3, 8, 8), torch.ones(3, 3, 8, 8)
    assert torch.equal(losses.pixel_loss(made, real), torch.ones(3))
    unit = torch.nn.functional.normalize(torch.randn(3, 16), dim=1)
    assert torch.allclose(losses.identity_loss(unit, -unit), torch.full((3,), 2.0), atol=1e-6)
    assert torch.allclose(losses.regulariser(-real), torch.ones(3))
    assert torch.allclose(
        losses.flow_loss(torch.zeros(3, 2, 4, 4), torch.full((3, 2, 4, 4), 0.5)), torch.full((3,), 0.5)
    )
    maps = [torch.zeros(3, 4, 2, 2)], [torch.ones(3, 4, 2, 2)]
    assert torch.equal(losses.perceptual_loss(*maps), torch.full((3,), 4.0))


def test_r1_is_the_squared_gradient() -> None:
    linear = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 1))
    expected = 10 / 2 * linear[1].weight.square().sum()
    assert torch.allclose(losses.r1_penalty(linear, torch.randn(5, 3, 2, 2), 10.0), expected)
