"""HFGI equals the authors' network: codes, residuals, scale and shift, images and edits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.core.contract import listen
from methods import load_method
from methods.hfgi.adapter import Hfgi, HfgiInversion
from methods.hfgi.network import low_rate
from tests.filling import fill, golden_image
from tests.parity.comparison import Comparison, channel_groups, pooled, windows

pytestmark = pytest.mark.parity
NAME = "hfgi_ffhq"


@dataclass(frozen=True)
class Run:
    """What one pass of the method over both images gave; announced values by name."""

    method: Hfgi
    inversion: HfgiInversion
    inverted: dict[str, Tensor]
    edited: dict[str, Tensor]
    edit: Tensor


def _delta(rows: int = 18) -> Tensor:
    return torch.from_numpy(fill("edit_direction", (rows, 512), ["normal", 0.3]))


@pytest.fixture(scope="module")
def run(filled) -> Iterator[Run]:  # noqa: ANN001
    with filled(NAME) as paths:
        method = load_method("hfgi", checkpoint=paths)
    assert isinstance(method, Hfgi)
    inverted: dict[str, Tensor] = {}
    edited: dict[str, Tensor] = {}

    def into(found: dict[str, Tensor], name: str, value: Tensor) -> None:
        found[name] = torch.cat([found[name], value]) if name in found else value

    images, parts, edits = golden_image(0, 2, 256), [], []
    for image in images.split(1):
        with listen(values=lambda name, value: into(inverted, name, value)):
            parts.append(method.invert(image))
        into(inverted, "picture", method.edit(parts[-1]))
        with listen(values=lambda name, value: into(edited, name, value)):
            edits.append(method.edit(parts[-1], _delta()))
    fields = ("codes", "residual", "features", "rgb")
    inversion = HfgiInversion(**{name: torch.cat([getattr(part, name) for part in parts]) for name in fields})
    yield Run(method, inversion, inverted, edited, torch.cat(edits))


@pytest.fixture(scope="module")
def expected(comparison) -> Comparison:  # noqa: ANN001
    return comparison(NAME, method="hfgi", domain="faces")


def _image(name: str, x: Tensor, pool: int) -> dict[str, Tensor]:
    return {
        f"{name}_pool": pooled(x, pool),
        f"{name}_crop": windows(x),
        f"{name}_mean": x.mean((0, 2, 3)),
        f"{name}_std": x.transpose(0, 1).flatten(1).std(1),
    }


def _condition(name: str, x: Tensor) -> dict[str, Tensor]:
    return {
        f"{name}_pool": pooled(channel_groups(x, 16), 16),
        f"{name}_crop": windows(x[:, :4], 16),
        f"{name}_mean": x.mean(),
        f"{name}_std": x.std(),
    }


def _out256(x: Tensor) -> Tensor:
    return F.interpolate(x, size=(256, 256), mode="bilinear", align_corners=False)[:, :, 64:96, 64:96]


def test_codes_and_residual(run: Run, expected: Comparison) -> None:
    expected.check("codes", run.inversion.codes)
    expected.check_all(_image("base_img", run.inverted["base"], 64))
    expected.check_all(_image("res", run.inversion.residual, 32))


def test_inversion(run: Run, expected: Comparison) -> None:
    expected.check_all(_image("inv_res_align", run.inverted["aligned residual"], 32))
    expected.check_all(_condition("inv_scale", run.inverted["scale"]))
    expected.check_all(_condition("inv_shift", run.inverted["shift"]))
    expected.check_all(_image("inv_img", run.inverted["picture"], 64))
    expected.check("inv_out256_crop", _out256(run.inverted["picture"]))


def test_edit(run: Run, expected: Comparison) -> None:
    expected.check_all(_image("edit_base256", low_rate(run.edited["base"], (256, 256)), 32))
    expected.check_all(_image("edit_res_align", run.edited["aligned residual"], 32))
    expected.check_all(_condition("edit_scale", run.edited["scale"]))
    expected.check_all(_condition("edit_shift", run.edited["shift"]))
    expected.check_all(_image("edit_img", run.edit, 64))
    expected.check("edit_out256_crop", _out256(run.edit))


def test_every_array_was_compared(expected: Comparison) -> None:
    if not expected.deviations:
        pytest.skip("the comparisons did not run")
    assert not expected.unchecked()
