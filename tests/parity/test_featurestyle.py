"""FeatureStyle equals the authors' network: codes, feature maps, images and edits; its two files in any order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from methods import load_method
from methods.featurestyle.adapter import FeatureStyle, FeatureStyleInversion
from tests.filling import fill, golden_image
from tests.parity.comparison import Comparison, channel_groups, pooled, windows

pytestmark = pytest.mark.parity
NAME = "feature_style_ffhq"


@dataclass(frozen=True)
class Run:
    """The method and what it gave for the golden's two images."""

    method: FeatureStyle
    images: Tensor
    inversion: FeatureStyleInversion
    delta: Tensor


@pytest.fixture(scope="module")
def run(filled) -> Iterator[Run]:  # noqa: ANN001
    with filled(NAME) as paths:
        method = load_method("featurestyle", checkpoint=paths[::-1])
    assert isinstance(method, FeatureStyle)
    images = golden_image(0, 2, 1024)
    delta = torch.from_numpy(fill("edit_direction", (18, 512), ["normal", 0.3]))
    yield Run(method, images, method.invert(images), delta)


@pytest.fixture(scope="module")
def expected(comparison) -> Comparison:  # noqa: ANN001
    return comparison(NAME, method="featurestyle", domain="faces")


def _image(name: str, x: Tensor) -> dict[str, Tensor]:
    return {
        f"{name}_pool": pooled(x),
        f"{name}_crop": windows(x),
        f"{name}_mean": x.mean((0, 2, 3)),
        f"{name}_std": x.transpose(0, 1).flatten(1).std(1),
    }


def _feature(name: str, x: Tensor) -> dict[str, Tensor]:
    return {
        f"{name}_pool": channel_groups(x, 32),
        f"{name}_crop": windows(x[:, :4], 8),
        f"{name}_mean": x.mean(),
        f"{name}_std": x.std(),
    }


def test_codes_and_features(run: Run, expected: Comparison) -> None:
    expected.check("x256_crop", run.method.encoder.shrink(run.images)[:, :, 64:96, 64:96])
    expected.check("codes", run.inversion.codes)
    expected.check_all(_feature("F", run.inversion.features))
    expected.check_all(_feature("G5", run.inversion.own))
    moved = run.method.generator.advance(None, run.inversion.codes + run.delta, 5).x
    expected.check_all(_feature("G5_edit", moved))
    expected.check_all(_feature("F_edit", run.method.moved_features(run.inversion, moved)))


def test_images(run: Run, expected: Comparison) -> None:
    method, parts = run.method, [run.inversion[i : i + 1] for i in range(2)]
    expected.check_all(_image("base_img", torch.cat([method.synthesise(part.codes) for part in parts])))
    expected.check_all(_image("inv_img", torch.cat([method.edit(part) for part in parts])))
    expected.check_all(_image("edit_img", torch.cat([method.edit(part, run.delta) for part in parts])))


def test_every_array_was_compared(expected: Comparison) -> None:
    if not expected.deviations:
        pytest.skip("the comparisons did not run")
    assert not expected.unchecked()


def test_sizes(run: Run) -> None:
    assert run.method.input_size == run.method.output_size == (1024, 1024)


def test_one_image_equals_a_batch(run: Run) -> None:
    alone = run.method.invert(run.images[1:])
    torch.testing.assert_close(alone.codes, run.inversion.codes[1:], atol=1e-4, rtol=0)
    torch.testing.assert_close(alone.features, run.inversion.features[1:], atol=1e-4, rtol=0)
