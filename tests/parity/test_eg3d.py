"""EG3D equals NVIDIA's network: mapping, planes, points, rays, the renderer with and without draws, pictures."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.core.checkpoint import load_strict, read_checkpoint, state_dict_of
from methods.eg3d_goae.adapter import eg3d_config
from methods.nets.eg3d import Draws, Eg3d
from methods.nets.eg3d.camera import look_at, rays
from methods.nets.eg3d.names import sorted_tensors
from methods.nets.eg3d.render import coarse_depths, evaluate, fine_depths, march
from methods.registry import Checkpoint
from methods.styleres.names import generator_tensors
from tests.filling import fill
from tests.parity.comparison import Comparison, channel_groups, pooled, windows

pytestmark = pytest.mark.parity
NAME = "eg3d_ffhq"


def drawn(name: str, shape: tuple[int, ...], *rule: Any) -> Tensor:
    return torch.from_numpy(fill(name, shape, list(rule)))


def cameras() -> tuple[Tensor, Tensor]:
    """The golden's two cameras, and the frontal one."""
    yaw, pitch = torch.tensor([0.25, -0.4, 0.0]), torch.tensor([-0.1, 0.15, 0.0])
    found = look_at(math.pi / 2 + yaw, math.pi / 2 + pitch)
    return found[:2], found[2:]


@pytest.fixture(scope="module")
def generator(filled: Callable[..., Any]) -> Eg3d:
    with filled(NAME) as paths:
        content = read_checkpoint(paths[0])
        with torch.device("meta"):
            network = Eg3d(eg3d_config(Checkpoint(paths[0], content)))
        load_strict(network, sorted_tensors(state_dict_of(content), generator_tensors), NAME)
    return network.eval()


@pytest.fixture(scope="module")
def codes(generator: Eg3d) -> Tensor:
    """W+ codes (2, 14, 512) of the golden's z, conditioned on the rendering cameras."""
    w = generator.mapping(drawn("z", (2, 512), "normal", 1.0), cameras()[0])
    return w[:, None].expand(-1, 14, -1)


@pytest.fixture(scope="module")
def planes(generator: Eg3d, codes: Tensor) -> Tensor:
    return generator.planes(codes)


@pytest.fixture
def recorder(comparison: Callable[..., Comparison]) -> Comparison:
    return comparison(NAME)


def feature(name: str, x: Tensor) -> dict[str, Tensor]:
    return {
        f"{name}_pool": pooled(x, 16),
        f"{name}_crop": windows(x[:, :4], 16),
        f"{name}_mean": x.mean(),
        f"{name}_std": x.std(),
    }


def picture(name: str, x: Tensor) -> dict[str, Tensor]:
    return {
        f"{name}_pool": pooled(x),
        f"{name}_mean": x.mean((0, 2, 3)),
        f"{name}_std": x.transpose(0, 1).flatten(1).std(1),
    }


def test_cameras_and_mapping(generator: Eg3d, codes: Tensor, recorder: Comparison) -> None:
    seen, front = cameras()
    recorder.check("camera", seen)
    recorder.check("camera_front", front)
    recorder.check("w", codes[:, 0])
    z = drawn("z", (2, 512), "normal", 1.0)
    recorder.check("w_front_psi07", generator.mapping(z, front.expand(2, -1), 0.7))


def test_planes_points_and_rays(generator: Eg3d, planes: Tensor, recorder: Comparison) -> None:
    stacked = planes.flatten(1, 2)
    recorder.check_all(feature("planes", channel_groups(stacked, 24)) | {"planes_crop": windows(stacked[:, :4], 16),
                       "planes_mean": stacked.mean(), "planes_std": stacked.std()})  # fmt: skip
    density, colour = generator.field(planes, drawn("coordinates", (2, 128, 3), "uniform", -0.55, 0.55))
    recorder.check("point_sigma", density)
    recorder.check("point_rgb", colour)
    origins, directions = rays(cameras()[0], 32)
    recorder.check("ray_origin", origins)
    recorder.check("ray_direction", directions)


def test_renderer(generator: Eg3d, planes: Tensor, recorder: Comparison) -> None:
    features, depth, total = generator.features(planes, cameras()[0], resolution=32)
    recorder.check_all(feature("feature", features))
    recorder.check("feature_depth", depth)
    recorder.check("weight_total", total)
    draws = Draws(drawn("jitter", (2, 1024, 48, 1), "uniform", 0, 1), drawn("importance", (2048, 48), "uniform", 0, 1))
    features, depth, _ = generator.features(planes, cameras()[0], resolution=32, draws=draws)
    recorder.check_all(feature("drawn_feature", features))
    recorder.check("drawn_depth", depth)


def test_samples_along_rays(generator: Eg3d, planes: Tensor, recorder: Comparison) -> None:
    config = generator.config.render
    origins, directions = rays(cameras()[0], 32)
    directions = directions[:, ::64]
    coarse = coarse_depths(config, origins, directions, None)
    recorder.check("coarse_depths", coarse[0, 0, :, 0])
    weights = march(coarse, *evaluate(lambda p: generator.field(planes, p), origins, directions, coarse)).weights
    recorder.check("coarse_weights", weights[..., 0])
    recorder.check("fine_depths", fine_depths(coarse, weights, config, None)[..., 0])


def test_pictures(generator: Eg3d, planes: Tensor, codes: Tensor, recorder: Comparison) -> None:
    found = generator.view(planes, cameras()[0], codes, resolution=64)
    recorder.check("depth64", found.depth)
    recorder.check_all(picture("raw64", found.raw))
    recorder.check_all(picture("image", found.image) | {"image_crop": windows(found.image)})


def test_every_array_was_compared(recorder: Comparison) -> None:
    if not recorder.deviations:
        pytest.skip("the comparisons did not run")
    assert not recorder.unchecked()
