"""W+ optimisation and PTI on small generators: deterministic, each image by itself, edits by its own tuned weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from bench.core.contract import listen
from bench.core.errors import MissingError
from bench.world.networks import WEIGHTS
from methods import load_method
from methods.nets.lpips import build_lpips
from methods.nets.stylegan2 import Generator
from methods.pti.project import Projection, noise_structure, project, ramp
from methods.pti.tune import Tuning, tunable, tune
from tests.unit.methods.small import GENERATOR, seeded

WORLD = [WEIGHTS / "generator.safetensors", WEIGHTS / "critics.safetensors"]


def load(name: str, steps: int) -> Any:
    return load_method(name, checkpoint=WORLD, steps=steps)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    random = torch.Generator().manual_seed(0)
    method = load("pti", 1)
    with torch.no_grad():
        codes = method.generator.broadcast(method.generator.mapping(torch.randn(2, 64, generator=random)))
        return method.generator(codes).clamp(-1, 1)


@pytest.mark.parametrize("name", ["pti", "w-plus-optimisation"])
def test_each_image_by_itself_in_inference_mode_too(name: str, images: torch.Tensor) -> None:
    with torch.inference_mode():
        method = load(name, 4)
        both = method.invert(images)
        alone = method.invert(images[1:])
        assert torch.equal(both[1:].codes, alone.codes)
        torch.testing.assert_close(method.edit(both)[1:], method.edit(alone), atol=1e-5, rtol=0)
        rows_differ = bool((both.codes[:, 0] != both.codes[:, 1]).any())
    assert rows_differ == (name == "w-plus-optimisation")
    assert both.steps.tolist() == ([4 + 3, 4 + 3] if name == "pti" else [4, 4])


def test_tuning_comes_nearer_and_an_edit_uses_it_again(images: torch.Tensor) -> None:
    method = load("pti", 18)
    inversion = method.invert(images[:1])
    with torch.no_grad():
        pivot, tuned = method.generator(inversion.codes), method.edit(inversion)
        assert float((tuned - images[:1]).square().mean()) < 0.8 * float((pivot - images[:1]).square().mean())
        delta = torch.randn(10, 64, generator=torch.Generator().manual_seed(1))
        edited = method.edit(inversion, delta)
        own = {name: value[0] for name, value in inversion.tensors.items()}
        again = torch.func.functional_call(method.generator, own, (inversion.codes + delta,))
        style = {0: torch.ones(128)}
        moved = method.edit(inversion, None, style)
    torch.testing.assert_close(edited, again)
    assert not torch.allclose(moved, tuned)


def test_steps_are_reported_and_part_of_the_digest(images: torch.Tensor) -> None:
    method, heard = load("pti", 9), []
    with listen(steps=lambda *step: heard.append(step)):
        method.invert(images[:1])
    assert heard[:2] == [("project", 1, 9), ("project", 2, 9)] and heard[-1][0] == "tune"
    assert load("pti", 9).digest == method.digest != load("pti", 8).digest != load("pti", 0).digest


def test_the_rate_warms_up_and_ramps_down() -> None:
    assert ramp(0.0) == 0 and ramp(0.025) == pytest.approx(0.5) and ramp(0.5) == 1
    assert ramp(0.875) == pytest.approx(0.5)


def test_white_noise_has_less_structure_than_a_smooth_map() -> None:
    white = torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.avg_pool2d(white, 3, 1, 1)
    assert float(noise_structure([white])) < 0.1 * float(noise_structure([smooth / smooth.std()]))
    one = torch.ones(1, 1, 4, 4)
    assert float(noise_structure([one])) == pytest.approx(2.0)  # a map of 4 px counts once, both directions


def test_an_image_that_is_near_enough_is_not_tuned() -> None:
    generator: Any = seeded(Generator(GENERATOR), 1)
    codes = torch.zeros(1, 10, 24)
    with torch.no_grad():
        image = generator(codes)
    found = tune(generator, codes, image, lambda x: x, lambda x: lambda y: (x - y).square().mean((1, 2, 3)), Tuning())
    assert found.steps == 0 and found.error < 1e-10
    assert not any(name.startswith(("style.", "noises.")) for name in tunable(generator))


def test_projection_comes_nearer(images: torch.Tensor) -> None:
    method = load("pti", 1)
    generator = method.generator
    near = project(generator, images[:1], lambda x: x, method._distance, Projection(steps=20, samples=100, rate=0.1))
    far = project(generator, images[:1], lambda x: x, method._distance, Projection(steps=2, samples=100, rate=0.1))
    assert near.distance < 0.8 * far.distance


def test_a_missing_backbone_is_named(tmp_path: Path) -> None:
    file = tmp_path / "generator.pt"
    torch.save({"g_ema": seeded(Generator(GENERATOR), 1).state_dict(), "latent_avg": torch.zeros(24)}, file)
    other = tmp_path / "other.pt"
    torch.save({"features.10.weight": torch.zeros(1)}, other)
    with pytest.raises(MissingError, match=r"needs torchvision's VGG16 \(vgg16-imagenet\)"):
        load_method("w-plus-optimisation", checkpoint=[file, other])
    with pytest.raises(MissingError, match="needs a StyleGAN2 generator"):
        load_method("w-plus-optimisation", checkpoint=[other, other])


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_the_loss_is_the_packages_distance(net: Any) -> None:
    import lpips
    from torchvision import models

    from metrics.perceptual import Perceptual

    torch.manual_seed(0)
    with torch.device("meta"):
        shapes = (models.alexnet() if net == "alex" else models.vgg16()).state_dict()
    backbone = {name: 0.05 * torch.randn(value.shape) for name, value in shapes.items() if "features" in name}
    path = Path(lpips.__file__).parent / "weights" / "v0.1" / f"{net}.pth"
    ours = build_lpips(net, backbone, torch.load(path, map_location="cpu", weights_only=True), net)
    theirs = Perceptual(net, backbone)
    first, second = torch.rand(2, 2, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        expected = theirs.distance(theirs.features(first), theirs.features(second)).sum(0).flatten()
        torch.testing.assert_close(ours(first, second), expected, atol=1e-6, rtol=1e-5)
