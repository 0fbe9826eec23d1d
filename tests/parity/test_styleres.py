"""StyleRes against the authors' network, every stored array. Each network runs once; hooks hear what passes inside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from methods.registry import load_method
from methods.styleres.adapter import ResidualInversion, ResidualMethod
from tests import filling
from tests.parity.comparison import Comparison, channel_groups, pooled, windows

pytestmark = pytest.mark.parity


@dataclass
class Run:
    """The method, its inversion of two images, and what was heard on the way."""

    method: ResidualMethod
    inversion: ResidualInversion
    images: dict[str, Tensor]
    heard: dict[str, Tensor]


def direction() -> Tensor:
    return torch.from_numpy(filling.fill("edit_direction", (18, 512), ["normal", 0.3]))


@pytest.fixture(scope="module")
def run(filled: Callable[..., Any]) -> Run:
    with filled("styleres_ffhq") as paths:
        method: Any = load_method("styleres", domain="faces", checkpoint=paths)
    heard: dict[str, Tensor] = {}
    extractor, injector = method.model.extractor, method.model.injector
    hooks = [
        extractor.register_forward_hook(lambda _, inputs, __: heard.update(F_0=inputs[0], F_g=inputs[1])),
        extractor.alignment.register_forward_hook(lambda _, __, output: heard.update(F_align=output)),
    ]
    inversion = method.invert(filling.golden_image(0, 2, 256))
    images = {}
    for name, delta in (("inv", None), ("edit", direction())):
        hook = injector.register_forward_hook(
            lambda _, inputs, outputs, name=name: heard.update(
                {f"{name}_F_e": inputs[0], f"{name}_deltaF": outputs[0], f"{name}_gate": outputs[1]}
            )
        )
        images[name] = method.edit(inversion, delta)
        hook.remove()
    for hook in hooks:
        hook.remove()
    return Run(method, inversion, images, heard)


@pytest.fixture
def recorder(comparison: Callable[..., Comparison]) -> Comparison:
    return comparison("styleres_ffhq", method="styleres", domain="faces")


def feature_summary(name: str, x: Tensor) -> dict[str, Tensor]:
    return {
        f"{name}_pool": F.adaptive_avg_pool2d(channel_groups(x, 16), 16),
        f"{name}_crop": windows(x[:, :4], 16),
        f"{name}_mean": x.mean(),
        f"{name}_std": x.std(),
    }


def image_summary(name: str, x: Tensor) -> dict[str, Tensor]:
    return {
        f"{name}_pool": pooled(x),
        f"{name}_crop": windows(x),
        f"{name}_mean": x.mean((0, 2, 3)),
        f"{name}_std": x.transpose(0, 1).flatten(1).std(1),
    }


def test_inversion_and_its_features(run: Run, recorder: Comparison) -> None:
    recorder.check("codes", run.inversion.codes)
    for name in ("F_0", "F_g", "F_align"):
        recorder.check_all(feature_summary(name, run.heard[name]))
    recorder.check_all(feature_summary("F_a", run.inversion.residual))


def test_images_of_inversion_and_edit(run: Run, recorder: Comparison) -> None:
    for name, image in run.images.items():
        recorder.check_all(image_summary(f"{name}_img", image))
    recorder.check_all(image_summary("base_img", run.method.base.generator(run.inversion.codes)))


def test_addition_and_gate(run: Run, recorder: Comparison) -> None:
    recorder.check_all(feature_summary("F_e", run.heard["edit_F_e"]))
    for name in ("inv", "edit"):
        recorder.check_all(feature_summary(f"{name}_deltaF", run.heard[f"{name}_deltaF"]))
        recorder.check(f"{name}_gate", run.heard[f"{name}_gate"])


def test_mapping_network(run: Run, recorder: Comparison) -> None:
    z = torch.from_numpy(filling.fill("z", (4, 512), ["normal", 1.0]))
    recorder.check("map_w", run.method.base.generator.mapping(z))


def test_every_array_was_compared(recorder: Comparison) -> None:
    if not recorder.deviations:
        pytest.skip("the comparisons did not run")
    assert not recorder.unchecked()


def test_batch_size_and_recomputation_do_not_matter(run: Run) -> None:
    alone = run.method.edit(run.method.invert(filling.golden_image(0, 2, 256)[1:]), direction())
    torch.testing.assert_close(alone[0], run.images["edit"][1], atol=1e-4, rtol=0)
