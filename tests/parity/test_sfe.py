"""StyleFeatureEditor equals the authors' network: codes, every feature map, pictures and an edit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from methods.registry import load_method
from methods.sfe.adapter import Sfe, SfeInversion
from tests.filling import fill, golden_image
from tests.parity.comparison import Comparison, channel_groups, pooled, windows

pytestmark = [pytest.mark.parity, pytest.mark.slow]
NAME = "sfe_ffhq"


@dataclass
class Run:
    """The method, its inversion of two pictures, and the maps heard on the way."""

    method: Sfe
    images: Tensor
    inversion: SfeInversion
    pictures: dict[str, Tensor]
    heard: dict[str, Tensor]


def direction() -> Tensor:
    return torch.from_numpy(fill("edit_direction", (18, 512), ["normal", 0.3]))


@pytest.fixture(scope="module")
def run(filled: Callable[..., Any]) -> Run:
    with filled(NAME) as paths:
        method: Any = load_method("sfe", checkpoint=[paths[1], paths[2], paths[0]])
    images, heard = golden_image(0, 2, 1024), {}

    def hear_fuser(_: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        heard.update(F_pred=inputs[0], F_w=inputs[1], F_fused=output)

    hook = method.inverter.fuser.register_forward_hook(hear_fuser)
    inversion = method.invert(images)
    hook.remove()
    pictures = {}
    for name, delta in (("inv", None), ("edit", direction())):
        parts: list[Tensor] = []
        hook = method.editor.register_forward_hook(lambda _, __, output, parts=parts: parts.append(output))
        pictures[name] = torch.cat([method.edit(inversion[i : i + 1], delta) for i in range(2)])
        heard[f"F_{name}"] = torch.cat(parts)
        hook.remove()
    return Run(method, images, inversion, pictures, heard)


@pytest.fixture
def recorder(comparison: Callable[..., Comparison]) -> Comparison:
    return comparison(NAME, method="sfe", domain="faces")


def feature(name: str, x: Tensor) -> dict[str, Tensor]:
    return {
        f"{name}_pool": F.adaptive_avg_pool2d(channel_groups(x, 16), 16),
        f"{name}_crop": windows(x[:, :4], 16),
        f"{name}_mean": x.mean(),
        f"{name}_std": x.std(),
    }


def picture(name: str, x: Tensor) -> dict[str, Tensor]:
    return {
        f"{name}_pool": pooled(x),
        f"{name}_crop": windows(x),
        f"{name}_mean": x.mean((0, 2, 3)),
        f"{name}_std": x.transpose(0, 1).flatten(1).std(1),
    }


def test_codes_and_features(run: Run, recorder: Comparison) -> None:
    recorder.check("x256_crop", run.method.shrink(run.images)[:, :, 64:96, 64:96])
    recorder.check("codes", run.inversion.codes)
    recorder.check("w_e4e", run.inversion.shadow)
    for name, value in run.heard.items():
        recorder.check_all(feature(name, value))


def test_what_the_edit_changes(run: Run, recorder: Comparison) -> None:
    recorder.check_all(feature("E_x", run.inversion.tap))
    change = run.method.change(run.inversion, direction())
    recorder.check_all(feature("delta", change))
    recorder.check_all(feature("E_y", run.inversion.tap - change))


def test_pictures(run: Run, recorder: Comparison) -> None:
    for name, value in run.pictures.items():
        recorder.check_all(picture(f"{name}_img", value))
    recorder.check_all(picture("base_img", torch.cat([run.method.synthesise(c) for c in run.inversion.codes.split(1)])))


def test_every_array_was_compared(recorder: Comparison) -> None:
    if not recorder.deviations:
        pytest.skip("the comparisons did not run")
    assert not recorder.unchecked()
