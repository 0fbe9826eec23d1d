"""StyleRes against the authors' network, every stored array."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from methods.registry import load_method
from methods.styleres.adapter import ResidualMethod
from tests import filling
from tests.parity.comparison import Comparison, channel_groups, pooled, windows

pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def method(filled: Callable[..., Any]) -> Iterator[ResidualMethod]:
    with filled("styleres_ffhq") as paths:
        yield load_method("styleres", domain="faces", checkpoint=paths)  # type: ignore[misc]


@pytest.fixture
def recorder(comparison: Callable[..., Comparison]) -> Comparison:
    return comparison("styleres_ffhq", method="styleres", domain="faces")


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    return filling.golden_image(0, 2, 256)


@pytest.fixture(scope="module")
def direction() -> Tensor:
    return torch.from_numpy(filling.fill("edit_direction", (18, 512), ["normal", 0.3]))


def feature_summary(name: str, x: Tensor) -> dict[str, Tensor]:
    return {
        f"{name}_pool": F.adaptive_avg_pool2d(channel_groups(x, 16), 16),
        f"{name}_crop": windows(x[:, :4], 16),
        f"{name}_mean": x.mean(),
        f"{name}_std": x.std(),
    }


def picture_summary(name: str, x: Tensor) -> dict[str, Tensor]:
    return {
        f"{name}_pool": pooled(x),
        f"{name}_crop": windows(x),
        f"{name}_mean": x.mean((0, 2, 3)),
        f"{name}_std": x.transpose(0, 1).flatten(1).std(1),
    }


def test_inversion_and_its_features(method: ResidualMethod, recorder: Comparison, pictures: Tensor) -> None:
    inversion = method.invert(pictures)
    recorder.check("codes", inversion.codes)
    base = method.base.encode(pictures)[1][1]
    recorder.check_all(feature_summary("F_0", base))
    recorder.check_all(feature_summary("F_g", inversion.features))
    recorder.check_all(feature_summary("F_align", method.model.extractor.alignment(base, inversion.features)))
    recorder.check_all(feature_summary("F_a", inversion.residual))
    recorder.check_all(picture_summary("base_img", method.base.generator(inversion.codes)))


def test_pictures_of_inversion_and_edit(
    method: ResidualMethod, recorder: Comparison, pictures: Tensor, direction: Tensor
) -> None:
    inversion = method.invert(pictures)
    recorder.check_all(picture_summary("inv_img", method.edit(inversion)))
    recorder.check_all(picture_summary("edit_img", method.edit(inversion, direction)))


@pytest.mark.parametrize("name", ["inv", "edit"])
def test_addition_and_gate(
    method: ResidualMethod, recorder: Comparison, pictures: Tensor, direction: Tensor, name: str
) -> None:
    inversion = method.invert(pictures)
    codes = inversion.codes + (direction if name == "edit" else 0)
    features = method.model.prefix(method.base.generator, codes).state.x
    if name == "edit":
        recorder.check_all(feature_summary("F_e", features))
    addition, gate = method.model.injector(features, inversion.residual)
    recorder.check_all(feature_summary(f"{name}_deltaF", addition))
    recorder.check(f"{name}_gate", gate)


def test_mapping_network(method: ResidualMethod, recorder: Comparison) -> None:
    z = torch.from_numpy(filling.fill("z", (4, 512), ["normal", 1.0]))
    recorder.check("map_w", method.base.generator.mapping(z))


def test_every_array_was_compared(recorder: Comparison) -> None:
    from tests.parity.goldens import golden

    assert set(golden("styleres_ffhq")[0]) == set(recorder.deviations)


def test_batch_size_does_not_matter(method: ResidualMethod, pictures: Tensor, direction: Tensor) -> None:
    whole = method.edit(method.invert(pictures), direction)
    alone = method.edit(method.invert(pictures[1:]), direction)
    torch.testing.assert_close(alone[0], whole[1], atol=1e-4, rtol=0)
