"""Fast copies do what their originals do: exactly in float32, up to rounding in bfloat16, gradients included."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.world.networks import new_networks
from methods.nets.flow.network import FlowNet, normalise
from methods.nets.pyramid import PyramidEncoder
from methods.nets.stylegan2 import Discriminator, Generator
from methods.styleres.pipeline import StyleRes
from methods.training import losses
from methods.training.frozen import (
    FastCritics,
    FastDiscriminator,
    FastEncoder,
    FastGenerator,
    WorkingCopy,
    copies,
    frozen_copy,
    images_last,
    quicken,
)
from methods.training.losses import Critics
from methods.training.world import DISCRIMINATOR, ENCODER, GENERATOR
from methods.warpres.presets import WORLD_FLOW, WORLD_PYRAMID, WORLD_STYLERES
from tests.unit.methods.small import seeded

EXACT, ROUNDED = torch.float32, torch.bfloat16


def cosine(first: Tensor, second: Tensor) -> float:
    return float(F.cosine_similarity(first.flatten().double(), second.flatten().double(), dim=0))


def close(first: Tensor, second: Tensor, dtype: torch.dtype) -> None:
    """Equal to 1e-4 of the spread in float32, to a cosine of .999 in bfloat16."""
    first, second = first.detach(), second.detach()
    if dtype is EXACT:
        assert float((first - second).abs().max()) <= 1e-4 * float(second.std())
    else:
        assert cosine(first - second.mean(), second - second.mean()) >= 0.999


@pytest.fixture(scope="module")
def images() -> Tensor:
    random = torch.Generator().manual_seed(0)
    return F.interpolate(torch.rand(8, 3, 16, 16, generator=random) * 2 - 1, scale_factor=4, mode="bilinear")


@pytest.fixture(scope="module")
def generator() -> Generator:
    generator = seeded(Generator(GENERATOR), 1)
    assert isinstance(generator, Generator)
    return generator.requires_grad_(False)


@pytest.mark.parametrize("dtype", [EXACT, ROUNDED])
def test_generator(generator: Generator, dtype: torch.dtype) -> None:
    codes = generator.mapping(torch.randn(8, 64))[:, None] + 0.3 * torch.randn(8, 10, 64)
    fast = FastGenerator(generator, dtype)
    prefix, slow = fast.advance(None, codes, 6), generator.advance(None, codes, 6)
    assert prefix.x.dtype is dtype
    close(prefix.x.float(), slow.x, dtype)
    gradients = []
    for net, state in ((fast, prefix), (generator, slow)):
        features = state.x.detach().requires_grad_(True)
        image = net.advance(state.with_features(features), codes).rgb
        assert image is not None and image.dtype is torch.float32
        image.tanh().square().sum().backward()
        assert features.grad is not None
        gradients.append((image.detach(), features.grad.float()))
    close(gradients[0][0], gradients[1][0], dtype)
    assert cosine(gradients[0][1], gradients[1][1]) >= 0.995


@pytest.mark.parametrize("clamp", [None, 0.5])
def test_generator_passes_gradients_to_codes(clamp: float | None) -> None:
    generator = seeded(Generator(replace(GENERATOR, clamp=clamp)), 1)
    assert isinstance(generator, Generator)
    generator.requires_grad_(False)
    gradients = []
    for net in (FastGenerator(generator, EXACT), generator):
        codes = torch.randn(2, 10, 64, generator=torch.Generator().manual_seed(3)).requires_grad_(True)
        net(codes).square().mean().backward()
        assert codes.grad is not None
        gradients.append(codes.grad)
    assert cosine(*gradients) >= 0.99999


@pytest.mark.parametrize("dtype", [EXACT, ROUNDED])
def test_encoder(images: Tensor, dtype: torch.dtype) -> None:
    encoder = seeded(PyramidEncoder(ENCODER)).eval()
    assert isinstance(encoder, PyramidEncoder)
    average = torch.randn(64)
    codes, taps = FastEncoder(encoder, average, dtype).encode(images)
    with torch.no_grad():
        expected, maps = encoder.encode(images)
    close(codes - average, expected, dtype)
    assert codes.dtype is torch.float32
    assert not codes.requires_grad
    for tap, map_ in zip(taps, maps, strict=True):
        close(tap.float(), map_, dtype)


def test_encoder_lets_gradients_through_when_asked(images: Tensor) -> None:
    encoder = seeded(PyramidEncoder(ENCODER)).eval().requires_grad_(False)
    assert isinstance(encoder, PyramidEncoder)
    seen = []
    for encode in (
        lambda x: FastEncoder(encoder, torch.zeros(64)).encode(x, gradient=True)[0],
        lambda x: encoder.encode(x)[0],
    ):
        x = images.clone().requires_grad_(True)
        encode(x).square().mean().backward()
        assert x.grad is not None
        seen.append(x.grad)
    assert cosine(*seen) >= 0.99


@pytest.mark.parametrize("dtype", [EXACT, ROUNDED])
def test_critics(images: Tensor, dtype: torch.dtype) -> None:
    networks = new_networks()
    critics = Critics(*(seeded(net, k).eval() for k, net in enumerate((networks.describer, networks.embedder))))  # type: ignore[arg-type]
    fast = FastCritics(critics, dtype)
    for made, expected in zip(fast.features(images), critics.features(images), strict=True):
        close(made, expected, dtype)
    close(fast.embed(images), critics.embed(images), dtype)


def test_folded_teacher_is_the_teacher(images: Tensor) -> None:
    teacher = seeded(FlowNet(WORLD_FLOW, WORLD_PYRAMID)).eval()
    folded = frozen_copy(teacher, EXACT)
    pair = normalise(images[:4]), normalise(images[4:])
    with torch.no_grad():
        assert torch.allclose(folded(*pair).flow1, teacher(*pair).flow1, atol=1e-3)
    assert not [p for p in folded.parameters() if p.requires_grad]
    assert [p for p in teacher.parameters() if p.requires_grad], "the original is untouched"


@pytest.mark.parametrize("dtype", [EXACT, ROUNDED])
def test_discriminator_trains_its_own_weights(images: Tensor, dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    slow = Discriminator(DISCRIMINATOR)
    fast = FastDiscriminator(slow, dtype)
    close(fast(images).detach(), slow(images).detach(), dtype)
    gradients = []
    for evaluator in (lambda x: fast(x, fast.weights(trained=True)), slow):
        slow.zero_grad()
        losses.discriminator_loss(evaluator(images[:4]), evaluator(images[4:])).backward()
        gradients.append(torch.cat([p.grad.flatten() for p in slow.parameters() if p.grad is not None]))
    assert cosine(*gradients) >= (0.995 if dtype is ROUNDED else 0.99999)


def test_discriminator_is_held_by_the_same_r1(images: Tensor) -> None:
    torch.manual_seed(1)
    slow = Discriminator(DISCRIMINATOR)
    fast = FastDiscriminator(slow)
    gradients = []
    for judge in (lambda x: fast(x, fast.weights(trained=True)), slow):
        slow.zero_grad()
        losses.r1_penalty(judge, images, 10.0).backward()
        gradients.append(torch.cat([p.grad.flatten() for p in slow.parameters() if p.grad is not None]))
    assert cosine(*gradients) >= 0.995


def test_discriminator_judges_without_gradients_of_its_own(images: Tensor) -> None:
    torch.manual_seed(1)
    slow = Discriminator(DISCRIMINATOR)
    slow.final_linear.requires_grad_(False)
    x = images.clone().requires_grad_(True)
    FastDiscriminator(slow)(x).sum().backward()
    assert x.grad is not None
    assert all(p.grad is None for p in slow.parameters())


def test_working_copy_gives_gradients_to_the_module() -> None:
    torch.manual_seed(2)
    model = StyleRes(WORLD_STYLERES)
    work = WorkingCopy(model.extractor)
    with torch.no_grad():
        model.extractor.first_layer.weight.mul_(1.5)
    inputs = torch.randn(8, 32, 32, 32), torch.randn(8, 64, 32, 32)
    model.extractor(*inputs).square().mean().backward()
    expected = torch.cat([p.grad.flatten() for p in model.extractor.parameters() if p.grad is not None])
    model.extractor.zero_grad()
    work.pull()(*map(images_last, inputs)).float().square().mean().backward()
    work.push()
    made = [p.grad for p in model.extractor.parameters()]
    assert all(grad is not None and grad.dtype is torch.float32 and grad.is_contiguous() for grad in made)
    assert cosine(torch.cat([grad.flatten() for grad in made if grad is not None]), expected) >= 0.995


@pytest.mark.parametrize("fused", [False, True])
def test_adam_moves_every_weight_against_its_gradient(fused: bool) -> None:
    """A fused Adam on the CPU reads channels_last gradients in memory order; `push` gives it none."""
    conv = torch.nn.Conv2d(6, 5, 3)
    work = WorkingCopy(conv)
    optimiser = torch.optim.Adam(conv.parameters(), lr=1e-3, fused=fused)
    before = conv.weight.detach().clone()
    work.pull()(images_last(torch.randn(4, 6, 8, 8))).float().square().mean().backward()
    work.push()
    optimiser.step()
    assert conv.weight.grad is not None
    assert torch.equal(torch.sign(before - conv.weight), torch.sign(conv.weight.grad))


def test_a_checkpoint_of_fused_steps_goes_on_without_them() -> None:
    def trained(layout: torch.memory_format, *, fused: bool) -> tuple[nn.Conv2d, torch.optim.Optimizer]:
        torch.manual_seed(0)
        module = nn.Conv2d(3, 4, 3).to(memory_format=layout)
        return module, torch.optim.Adam(module.parameters(), lr=0.1, fused=fused)

    def step(module: nn.Conv2d, optimiser: torch.optim.Optimizer) -> None:
        module.zero_grad()
        module(torch.linspace(-1, 1, 75).view(1, 3, 5, 5)).square().sum().backward()
        copies.match_layout(module.parameters())
        optimiser.step()

    first = trained(torch.contiguous_format, fused=True)
    second = trained(torch.channels_last, fused=False)
    step(*first)
    second[0].load_state_dict(first[0].state_dict())
    copies.load_optimiser(second[1], deepcopy(first[1].state_dict()))
    assert second[1].param_groups[0]["fused"] is False
    for module, optimiser in (first, second):
        step(module, optimiser)
    assert torch.allclose(first[0].weight, second[0].weight, atol=1e-6)


@pytest.mark.parametrize("dtype", [EXACT, ROUNDED])
@pytest.mark.parametrize("shape", [(4, 6, 8, 8), (4, 6)])
def test_a_quick_prelu_is_prelu_to_the_bit(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    torch.manual_seed(4)
    slow = nn.PReLU(6).to(dtype)
    with torch.no_grad():
        slow.weight.copy_(torch.randn(6))
    fast = quicken(deepcopy(slow))
    assert type(fast) is not nn.PReLU
    values = torch.randn(shape, dtype=dtype)
    values[0] = 0.0
    seen = []
    for net in (slow, fast):
        x = values.clone().requires_grad_(True)
        made = net(x)
        made.float().square().sum().backward()
        assert x.grad is not None
        assert net.weight.grad is not None
        seen.append((made.detach(), x.grad, net.weight.grad))
    for one, other in zip(*seen, strict=True):
        assert torch.equal(one, other)


def test_a_quick_prelu_under_autocast_and_with_frozen_slopes() -> None:
    net = quicken(nn.Sequential(nn.Conv2d(3, 6, 3), nn.PReLU(6)))
    x = torch.randn(2, 3, 8, 8, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        net(x).float().square().mean().backward()
    assert all(p.grad is not None and p.grad.dtype is torch.float32 for p in net.parameters())
    net.requires_grad_(False).zero_grad()
    x.grad = None
    net(x).square().mean().backward()
    assert x.grad is not None
    assert all(p.grad is None for p in net.parameters())


def test_quick_relus_overwrite_what_only_they_look_at() -> None:
    torch.manual_seed(5)
    slow = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.LeakyReLU(0.1), nn.Sigmoid(), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU()
    )
    fast = quicken(deepcopy(slow))
    overwrites = [layer.inplace for layer in fast if isinstance(layer, nn.ReLU | nn.LeakyReLU)]
    assert overwrites == [True, False, True], "a sigmoid needs what it made"
    seen = []
    for net in (slow, fast):
        x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(6), requires_grad=True)
        net(x).square().sum().backward()
        seen.append([x.grad, *(p.grad for p in net.parameters())])
    for one, other in zip(*seen, strict=True):
        assert torch.equal(one, other)
