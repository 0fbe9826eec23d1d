"""GOAE equals the authors' network: backbone, codes, filled feature, planes, mask, views and edits.

The mask has a hard threshold on integer places, so that a depth that differs by 1e-6 flips single pixels: the binary
masks are compared by the share that differs, and what comes after them is made from the golden's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from methods.eg3d_goae import adapter, network
from methods.eg3d_goae.adapter import Goae, SceneInversion, mixed
from methods.nets.eg3d import Rendered
from methods.nets.eg3d.camera import look_at
from methods.registry import load_method
from tests.filling import fill, golden_image
from tests.parity.comparison import Comparison, channel_groups, pooled, windows

pytestmark = [pytest.mark.parity, pytest.mark.slow]
NAME = "goae_ffhq"
FLIPPED = 2e-3


@dataclass
class Run:
    """The method and what it made of the golden's two images, from their cameras."""

    method: Goae
    cameras: Tensor
    taps: list[Tensor]
    base: Tensor
    scene: SceneInversion
    plain: Tensor
    scale: Tensor
    shift: Tensor
    picture: Rendered


@pytest.fixture(scope="module")
def run(filled: Callable[..., Any]) -> Run:
    with filled(NAME) as paths:
        method: Any = load_method("eg3d-goae", checkpoint=paths[::-1])
    yaw, pitch = torch.tensor([0.25, -0.4]), torch.tensor([-0.1, 0.15])
    cameras = look_at(math.pi / 2 + yaw, math.pi / 2 + pitch)
    taps = method.encoder.swin_model.taps(golden_image(0, 2, 256))
    base, deltas = method.encoder.parts(taps)
    codes = base[:, None] + torch.cat([0 * deltas[:, :1], deltas], 1) + method.generator.mapping.average
    heard: dict[str, Any] = {}
    hooks = [
        method.afa.cross_att_gamma.register_forward_hook(lambda _, __, out: heard.update(scale=out)),
        method.afa.cross_att_beta.register_forward_hook(lambda _, __, out: heard.update(shift=out)),
    ]
    scene = method.scene(golden_image(0, 2, 512), cameras, codes)
    for hook in hooks:
        hook.remove()
    scale, shift = (heard[name].transpose(1, 2).reshape(scene.features.shape) for name in ("scale", "shift"))
    front = method.generator.backbone.advance(None, codes, adapter._FRONT)
    plain = method.generator.planes(codes, front)
    picture = method.generator.view(scene.planes, cameras, codes)
    return Run(method, cameras, taps, base, scene, plain, scale, shift, picture)


@pytest.fixture
def recorder(comparison: Callable[..., Comparison]) -> Comparison:
    return comparison(NAME, method="eg3d-goae", domain="faces")


def feature(name: str, x: Tensor, groups: int = 32) -> dict[str, Tensor]:
    return {
        f"{name}_pool": pooled(channel_groups(x, groups), 8),
        f"{name}_crop": windows(x[:, :4], 16),
        f"{name}_mean": x.mean(),
        f"{name}_std": x.std(),
    }


def picture(name: str, x: Tensor, side: int = 64) -> dict[str, Tensor]:
    found = {f"{name}_pool": pooled(x, side), f"{name}_mean": x.mean((0, 2, 3))}
    found |= {f"{name}_std": x.transpose(0, 1).flatten(1).std(1)}
    return found | ({f"{name}_crop": windows(x)} if side == 64 else {})


def golden_mask(recorder: Comparison, key: str) -> Tensor:
    bits = np.unpackbits(recorder.expected(key), axis=1)
    return torch.from_numpy(bits.astype(np.float32)).view(2, 1, 256, 256)


def check_mask(recorder: Comparison, key: str, binary: Tensor) -> Tensor:
    """Compare by the share of flipped pixels; returns the golden's, blurred again."""
    expected = golden_mask(recorder, key)
    assert float((binary != expected).float().mean()) <= FLIPPED
    recorder.check(key, recorder.expected(key))
    return network._blurred(expected, 1.5)


def test_backbone_and_codes(run: Run, recorder: Comparison) -> None:
    for key, tokens in zip(("swin_64", "swin_32", "swin_16", "swin_8", "swin_final"), run.taps, strict=True):
        recorder.check(key, tokens.mean(1))
    recorder.check("camera", run.cameras)
    recorder.check("w_base", run.base)
    recorder.check("codes", run.scene.codes)


def test_features_and_planes(run: Run, recorder: Comparison) -> None:
    state = run.method.generator.backbone.advance(None, run.scene.codes, adapter._FRONT)
    assert state.rgb is not None
    recorder.check_all(feature("feature32", run.scene.features))
    recorder.check_all(feature("skip32", state.rgb, 24))
    for name, value in (("gamma", run.scale), ("beta", run.shift), ("feature32_afa", run.scene.filled)):
        recorder.check_all(feature(name, value))
    recorder.check_all(feature("planes_w", run.plain.flatten(1, 2), 24))
    recorder.check_all(feature("planes_afa", run.scene.planes.flatten(1, 2), 24))


def test_pictures_and_depth(run: Run, recorder: Comparison) -> None:
    plain = run.method.generator.view(run.plain, run.cameras, run.scene.codes)
    recorder.check_all(picture("image_w", plain.image, 32))
    recorder.check_all(picture("image", run.picture.image))
    recorder.check("depth", run.picture.depth)
    torch.testing.assert_close(run.method.edit(run.scene), run.picture.image, atol=1e-5, rtol=0)


def test_mask_and_view(run: Run, recorder: Comparison) -> None:
    method = run.method
    binary, _ = method.mask(run.cameras, torch.from_numpy(recorder.expected("depth")))
    mask = check_mask(recorder, "mask_binary", binary)
    recorder.check("mask_binary_mean", golden_mask(recorder, "mask_binary").mean())
    recorder.check("mask_pool", pooled(mask, 32))
    completed = mixed(run.scene.planes, run.plain, mask)
    recorder.check_all(feature("plane0_mixed", completed))
    novel = look_at(torch.tensor([math.pi / 2 + 25 * math.pi / 360]), torch.tensor([math.pi / 2]))
    recorder.check("camera_novel", novel)
    scene = replace(run.scene, completed=completed)
    found = method.generator.view(adapter._whole(scene), novel.expand(2, -1), scene.codes)
    recorder.check_all(picture("novel", found.image))
    recorder.check_all(picture("novel_raw", found.raw, 32))
    turned = method.view(scene, torch.tensor([[12.5, 0.0]] * 2))
    torch.testing.assert_close(turned, found.image, atol=2e-3, rtol=0)


def test_edit(run: Run, recorder: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    method = run.method
    delta = torch.from_numpy(fill("edit_direction", (14, 512), ["normal", 0.3]))
    made: dict[str, Tensor] = {}
    own_mask = Goae.mask

    def mask(self: Goae, cameras: Tensor, depth: Tensor) -> tuple[Tensor, Tensor]:
        made["binary"] = own_mask(self, cameras, depth)[0]
        return made["binary"], network._blurred(golden_mask(recorder, "edit_mask_binary"), 1.5)

    monkeypatch.setattr(Goae, "mask", mask)
    codes = run.scene.codes + delta
    front = method.generator.backbone.advance(None, codes, adapter._FRONT)
    plain = method.generator.planes(codes, front)
    recorder.check_all(picture("edit_w", method.generator.view(plain, run.cameras, codes).image, 32))
    scene = method.edited_scene(run.scene, delta)
    check_mask(recorder, "edit_mask_binary", made["binary"])
    recorder.check_all(feature("edit_plane0", scene.completed))
    found = method.generator.view(adapter._whole(scene), run.cameras, codes)
    recorder.check_all(picture("edit", found.image))
    # Of the completed planes, not of those that the mask was made from.
    recorder.check("edit_depth_pool", pooled(found.depth, 32))


def test_every_array_was_compared(recorder: Comparison) -> None:
    if not recorder.deviations:
        pytest.skip("the comparisons did not run")
    assert not recorder.unchecked()
