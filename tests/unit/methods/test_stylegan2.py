"""The generator against a slow one written straight from the rules, and its ways of running against each other."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from methods.nets.stylegan2 import Generator, GeneratorConfig
from methods.nets.stylegan2.discriminator import minibatch_deviation
from methods.nets.stylegan2.layers import ModulatedConv, upsample_rgb
from tests.unit.methods.small import GENERATOR, seeded


def upfirdn(x: Tensor, kernel: Tensor, up: int, pad: tuple[int, int]) -> Tensor:
    """Zeros after each sample, padding, true convolution: every output pixel summed by hand."""
    n, c, h, w = x.shape
    spread = torch.zeros(n, c, h * up, w * up, dtype=x.dtype)
    spread[:, :, ::up, ::up] = x
    padded = F.pad(spread, (*pad, *pad))
    flipped = kernel.flip(0, 1)
    rows, columns = padded.shape[2] - 3, padded.shape[3] - 3
    return sum(flipped[i, j] * padded[:, :, i : i + rows, j : j + columns] for i in range(4) for j in range(4))  # type: ignore[return-value]


def modulated(conv: ModulatedConv, x: Tensor, w: Tensor, offset: Tensor | None) -> Tensor:
    """One image at a time, its weights modulated and demodulated as the rule says."""
    outputs = []
    style = w @ conv.modulation.weight.double().T / math.sqrt(w.shape[1]) + conv.modulation.bias.double()
    for index in range(len(x)):
        weight = conv.weight[0].double() * conv.scale
        if offset is not None:
            weight = weight * (1 + offset[index])
        weight = weight * style[index][None, :, None, None]
        if conv.demod:
            weight = weight / torch.sqrt(weight.square().sum((1, 2, 3), keepdim=True) + 1e-8)
        one = x[index : index + 1]
        if conv.up:
            y = F.conv_transpose2d(one, weight.transpose(0, 1), stride=2)
            outputs.append(upfirdn(y, conv.blur.kernel.double(), 1, (1, 1)))
        else:
            outputs.append(F.conv2d(one, weight, padding=weight.shape[-1] // 2))
    return torch.cat(outputs)


def reference(generator: Generator, codes: Tensor, offsets: dict[int, Tensor]) -> Tensor:
    """The whole synthesis in float64, straight from the card's table."""
    codes = codes.double()
    x = generator.input.input.double().expand(len(codes), -1, -1, -1)
    rgb: Tensor | None = None
    for layer in range(generator.config.layers):
        block = generator.conv1 if layer == 0 else generator.convs[layer - 1]
        x = modulated(block.conv, x, codes[:, layer], offsets.get(layer))
        x = x + block.noise.weight.double() * getattr(generator.noises, f"noise_{layer}").double()
        x = math.sqrt(2) * F.leaky_relu(x + block.activate.bias.double()[:, None, None], 0.2)
        if layer % 2 == 0:
            last = generator.to_rgb1 if layer == 0 else generator.to_rgbs[layer // 2 - 1]
            new = modulated(last.conv, x, codes[:, layer + 1], None) + last.bias.double()
            rgb = new if rgb is None else new + upfirdn(rgb, last.upsample.kernel.double(), 2, (2, 1))
    assert rgb is not None
    return rgb


@pytest.fixture(scope="module")
def generator() -> Generator:
    network = seeded(Generator(GENERATOR), 3)
    assert isinstance(network, Generator)
    for name, value in network.named_parameters():
        if name.endswith("noise.weight"):
            value.data.fill_(-0.3)
    return network


@pytest.fixture(scope="module")
def codes() -> Tensor:
    return torch.randn(3, GENERATOR.rows, 24, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("tuned", [False, True])
def test_synthesis_equals_the_rules(generator: Generator, codes: Tensor, tuned: bool) -> None:
    random = torch.Generator().manual_seed(6)
    offsets = {}
    if tuned:
        for layer in (0, 1, 4):
            shape = (generator.conv1 if layer == 0 else generator.convs[layer - 1]).conv.weight.shape[1:]
            size = shape if layer else (*shape[:2], 1, 1)
            offsets[layer] = 0.3 * torch.randn(3, *size, generator=random)
    with torch.no_grad():
        ours = generator.advance(None, codes, offsets=offsets).rgb
        expected = reference(generator, codes, {k: v.double() for k, v in offsets.items()})
    torch.testing.assert_close(ours, expected.float(), atol=2e-5, rtol=2e-5)


def test_training_and_inference_agree_and_gradients_flow(generator: Generator, codes: Tensor) -> None:
    with torch.no_grad():
        fast = generator(codes)
    wanted = codes.clone().requires_grad_(True)
    slow = generator(wanted)
    torch.testing.assert_close(slow.detach(), fast, atol=2e-5, rtol=2e-5)
    slow.square().mean().backward()
    assert wanted.grad is not None and bool(wanted.grad.abs().sum((0, 2)).all())
    assert all(p.grad is not None for name, p in generator.named_parameters() if not name.startswith("style."))
    generator.zero_grad()


def test_weight_offsets_in_training_and_inference_agree_and_get_gradients(generator: Generator, codes: Tensor) -> None:
    random, offsets = torch.Generator().manual_seed(8), dict[int, Tensor]()
    for layer, taps in ((0, 3), (1, 3), (2, 1)):
        shape = (generator.conv1 if layer == 0 else generator.convs[layer - 1]).conv.weight.shape[1:3]
        offsets[layer] = (0.3 * torch.randn(3, *shape, taps, taps, generator=random)).requires_grad_(True)
    with torch.no_grad():
        fast = generator.advance(None, codes, offsets=offsets).rgb
    slow = generator.advance(None, codes, offsets=offsets).rgb
    assert slow is not None
    torch.testing.assert_close(slow.detach(), fast, atol=2e-5, rtol=2e-5)
    slow.square().mean().backward()
    assert all(offset.grad is not None and bool(offset.grad.abs().sum()) for offset in offsets.values())
    generator.zero_grad()


def test_stopping_and_going_on_changes_nothing(generator: Generator, codes: Tensor) -> None:
    with torch.no_grad():
        whole = generator(codes)
        state = generator.advance(None, codes, 4)
        kept = state.x.clone()
        assert torch.equal(generator.advance(state, codes).rgb, whole)
        # A second edit starts from the same state: nothing in it may have been written over.
        assert torch.equal(state.x, kept)
        assert torch.equal(generator.advance(state, codes).rgb, whole)


def test_images_do_not_depend_on_their_neighbours(generator: Generator, codes: Tensor) -> None:
    with torch.no_grad():
        together = generator(codes)
        alone = torch.cat([generator(codes[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_noise_is_the_stored_one_unless_asked(generator: Generator, codes: Tensor) -> None:
    with torch.no_grad():
        assert torch.equal(generator(codes), generator(codes))
        assert not torch.equal(generator(codes, noise="random"), generator(codes, noise="random"))
        assert not torch.equal(generator(codes, noise="none"), generator(codes))


def test_rgb_upsampling_equals_the_rule() -> None:
    x, kernel = torch.randn(2, 3, 5, 7), torch.rand(4, 4)
    kernel = kernel + kernel.flip(0, 1)
    torch.testing.assert_close(upsample_rgb(x, kernel), upfirdn(x, kernel, 2, (2, 1)))


def test_mapping_normalises_first(generator: Generator) -> None:
    z = torch.randn(4, 24)
    with torch.no_grad():
        torch.testing.assert_close(generator.mapping(z), generator.mapping(7 * z), atol=1e-4, rtol=1e-4)


def test_released_sizes() -> None:
    with torch.device("meta"):
        for size, rows, tensors, parameters in ((1024, 18, 171, 30_370_060), (512, 16, 153, 30_276_583)):
            network = Generator(GeneratorConfig.config_f(size))
            assert network.config.rows == rows
            assert len(network.state_dict()) == tensors
            assert sum(p.numel() for p in network.parameters()) == parameters


def test_deviation_groups_image_j_with_j_mod_groups() -> None:
    x = torch.zeros(8, 2, 4, 4)
    x[[0, 2]] = 1.0  # group {0, 2, 4, 6}; the other group is constant
    added = minibatch_deviation(x)[:, 2, 0, 0]
    assert float(added[0]) == pytest.approx(0.5, abs=1e-4)
    assert added[::2].std() == 0
    assert float(added[1]) == pytest.approx(1e-4, rel=1e-3)


@pytest.mark.parametrize("gradients", [False, True])
def test_a_clamp_bounds_every_layer_and_each_to_rgb(gradients: bool) -> None:
    torch.manual_seed(0)
    free = Generator(GENERATOR)
    bound = Generator(replace(GENERATOR, clamp=0.5))
    bound.load_state_dict(free.state_dict())
    codes = 3 * torch.randn(2, free.config.rows, free.config.style_dim)
    with torch.set_grad_enabled(gradients):
        first, capped = free.advance(None, codes, 1), bound.advance(None, codes, 1)
        assert first.x.abs().max() > 0.5
        torch.testing.assert_close(capped.x, first.x.clamp(-0.5, 0.5), atol=1e-5, rtol=1e-5)
        assert capped.rgb is not None and capped.rgb.abs().max() <= 0.5
        whole = bound.advance(None, codes)
    assert whole.x.abs().max() <= 0.5
    # The skip itself is not bounded: it is a sum of bounded images.
    assert whole.rgb is not None and torch.isfinite(whole.rgb).all()
