"""The two paths and the losses of StyleRes and WarpRes, at the world's sizes with untrained networks."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from methods.nets.pyramid import PyramidEncoder
from methods.nets.stylegan2 import Generator
from methods.styleres.pipeline import StyleRes
from methods.training import losses
from methods.training.frozen import FastEncoder, FastGenerator
from methods.training.paths import Base, Passes, as_targets, edited_codes, simulated_edit
from methods.training.world import ENCODER, GENERATOR
from methods.warpres.network import WarpRes
from methods.warpres.presets import WORLD_STYLERES, WORLD_WARPRES
from tests.unit.methods.small import seeded

IMAGES_FLOW = replace(WORLD_WARPRES, flow_source="pictures")
MODELS = {
    "styleres": lambda: StyleRes(WORLD_STYLERES),
    "warpres": lambda: WarpRes(WORLD_WARPRES),
    "pretrained flow": lambda: WarpRes(IMAGES_FLOW),
}


@lru_cache(maxsize=2)
def base_of(dtype: torch.dtype) -> tuple[PyramidEncoder, Generator, Base]:
    encoder, generator = seeded(PyramidEncoder(ENCODER)).eval(), seeded(Generator(GENERATOR), 1)
    assert isinstance(encoder, PyramidEncoder) and isinstance(generator, Generator)
    encoder.requires_grad_(False), generator.requires_grad_(False)
    fast = Base(FastEncoder(encoder, torch.zeros(GENERATOR.style_dim), dtype), FastGenerator(generator, dtype))
    return encoder, generator, fast


@pytest.fixture(scope="module")
def images() -> Tensor:
    random = torch.Generator().manual_seed(0)
    return F.interpolate(torch.rand(4, 3, 16, 16, generator=random) * 2 - 1, scale_factor=4, mode="bilinear")


def reference(model: StyleRes, encoder: PyramidEncoder, generator: Generator, images: Tensor, delta: Tensor) -> Tensor:
    """The same images by the lines of the shipped method: those without an edit first."""
    codes, taps = encoder.encode(images)
    prepared = model.prepare(generator, codes, taps[model.config.base_tap])
    changed = codes.clone()
    changed[: len(delta)] += delta
    return as_targets(model.render(generator, prepared, changed).image, len(delta))


@pytest.mark.parametrize("kind", MODELS)
def test_passes_make_the_images_of_the_method(kind: str, images: Tensor) -> None:
    torch.manual_seed(0)
    model = MODELS[kind]().eval()
    encoder, generator, base = base_of(torch.float32)
    passes = Passes(model, base)
    delta = 0.5 * torch.randn(2, 10, 64)
    with torch.no_grad():
        codes, taps = base.encoder.encode(images)
        made = passes.run(codes, taps[0], delta).image
        expected = reference(model, encoder, generator, images, delta)
    assert float((made - expected).abs().max()) <= 2e-4 * float(expected.std())


@pytest.mark.parametrize("kind", ["styleres", "warpres"])
def test_gradients_of_the_fast_step_are_those_of_the_method(kind: str, images: Tensor) -> None:
    torch.manual_seed(0)
    model = MODELS[kind]().eval()
    encoder, generator, base = base_of(torch.bfloat16)
    passes = Passes(model, base)
    delta = 0.5 * torch.randn(2, 10, 64)
    reference(model, encoder, generator, images, delta).tanh().square().mean().backward()
    expected = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    model.zero_grad()
    codes, taps = base.encoder.encode(images)
    passes.pull()
    passes.run(codes, taps[0], delta).image.tanh().square().mean().backward()
    passes.push()
    missing = [name for name, p in model.named_parameters() if p.grad is None]
    assert not missing
    made = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    assert float(F.cosine_similarity(made, expected, dim=0)) >= 0.995
    frozen = [*generator.parameters(), *encoder.parameters()]
    assert all(p.grad is None for p in frozen)


def test_flow_stays_in_float32() -> None:
    _, _, base = base_of(torch.bfloat16)
    passes = Passes(WarpRes(WORLD_WARPRES).eval(), base)
    with torch.no_grad():
        stand = passes.stand(torch.randn(2, 10, 64))
        cells = passes.cells(stand, 1)
    assert stand.state.x.dtype is torch.bfloat16
    assert {map_.dtype for map_ in stand.maps} == {torch.float32}
    assert cells is not None and cells.dtype is torch.float32 and len(cells) == 1


def test_edited_samples_come_last_among_the_targets() -> None:
    values = torch.arange(5)
    assert as_targets(values, 2).tolist() == [2, 3, 4, 0, 1]
    assert as_targets(values, 0).tolist() == as_targets(values, 5).tolist() == [0, 1, 2, 3, 4]
    codes, delta = torch.zeros(3, 10, 64), torch.ones(1, 10, 64)
    assert torch.equal(edited_codes(codes, delta)[3:], delta)


def test_simulated_edits_follow_equation_2() -> None:
    _, _, base = base_of(torch.float32)
    random = torch.Generator().manual_seed(1)
    codes, noise = torch.randn(200, 10, 64), torch.randn(200, 64, generator=random)
    amount = 0.4 + 0.1 * torch.rand(200, generator=random)
    moved = codes + simulated_edit(base, codes, noise, amount)
    # W + delta = W + alpha (W_r - W): the difference of two rows of the result shrinks by 1 - alpha.
    kept = (moved[:, 0] - moved[:, 1]).norm(dim=1) / (codes[:, 0] - codes[:, 1]).norm(dim=1)
    assert torch.allclose(kept, 1 - amount, atol=1e-4)


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


def test_moving_cells_have_a_term_of_their_own() -> None:
    target = torch.zeros(1, 2, 4, 4)
    target[0, 0, 0, 0] = 1.0
    error, moving = losses.moving_flow_loss(torch.zeros_like(target), target)
    assert (float(error), int(moving)) == (0.5, 1)


def test_w_consistency_is_one_where_the_edit_was_undone() -> None:
    codes, delta = torch.randn(3, 10, 8), torch.randn(3, 10, 8)
    wanted, lengths = codes + delta, delta.square().sum((1, 2))
    length = lengths.mean()
    assert torch.allclose(losses.w_consistency_loss(codes, wanted, length), lengths / length, atol=1e-5)
    assert losses.w_consistency_loss(wanted, wanted, length).abs().max() == 0


def test_an_edit_of_almost_nothing_does_not_drown_the_others_w_consistency() -> None:
    codes, delta = torch.randn(4, 10, 8), torch.randn(4, 10, 8)
    delta[0] *= 1e-4
    length = delta.square().sum((1, 2)).mean()
    assert losses.w_consistency_loss(codes, codes + delta + 0.1, length).max() < 4


def test_r1_is_the_squared_gradient() -> None:
    linear = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 1))
    expected = 10 / 2 * linear[1].weight.square().sum()
    assert torch.allclose(losses.r1_penalty(linear, torch.randn(5, 3, 2, 2), 10.0), expected)
