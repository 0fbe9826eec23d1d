"""HFGI at a small size: its definitions, what an edit recomputes, files and the contract."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.core.checkpoint import read_checkpoint, write_safetensors
from bench.core.contract import listen
from bench.core.errors import MissingError, UsageError
from methods import load_method
from methods.conformance import check
from methods.hfgi.adapter import Hfgi
from methods.hfgi.network import Alignment, Consultation, EqualConv, HfgiConfig, fuse, low_rate
from methods.nets.base import Canvas
from methods.nets.configs import to_dict
from methods.nets.irse import IRSEConfig
from methods.nets.pyramid import PyramidConfig, PyramidEncoder
from methods.nets.stylegan2 import Generator, GeneratorConfig

GENERATOR = GeneratorConfig(size=64, style_dim=32, mapping_layers=2, channels=dict.fromkeys((4, 8, 16, 32, 64), 8))
BACKBONE = IRSEConfig(widths=(8, 16, 16, 32), units=(1, 1, 1, 1), reduction=4)
ENCODER = PyramidConfig(BACKBONE, rows=10, style_dim=32, depths=PyramidConfig.depths_for(BACKBONE, 64))
OWN = HfgiConfig(align_widths=(4, 6, 8, 8), consult_widths=(4, 6, 8), feature_width=8, fuse_after=6)


def _method() -> Hfgi:
    torch.manual_seed(0)
    networks = Generator(GENERATOR), PyramidEncoder(ENCODER), Alignment(OWN), Consultation(OWN)
    return Hfgi("hfgi", Canvas.of("faces", 64), *networks, torch.randn(10, 32)).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def method() -> Hfgi:
    return _method()


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1


def _by_the_card(method: Hfgi, images: Tensor, delta: Tensor) -> Tensor:
    """Section 5 word by word, nothing shared between its generator passes."""
    codes = method.encoder(images) + method.latent_avg
    residual = images - low_rate(method.generator(codes), (64, 64))
    moved = codes + delta
    aligned = method.alignment(residual, low_rate(method.generator(moved), (64, 64)))
    scale, shift = (F.interpolate(x, (32, 32), mode="bilinear") for x in method.consultation(aligned))
    prefix = method.generator.advance(None, moved, 6)
    changed = prefix.x * (1 + scale) + shift
    image = method.generator.advance(prefix.with_features(changed), moved).rgb
    assert image is not None
    return image


def test_edits_and_reconstruction_are_the_cards(method: Hfgi, images: Tensor) -> None:
    inversion = method.invert(images)
    delta = torch.randn(2, 10, 32)
    torch.testing.assert_close(method.edit(inversion, delta), _by_the_card(method, images, delta), atol=1e-5, rtol=1e-5)
    plain = _by_the_card(method, images, torch.zeros(10, 32))
    torch.testing.assert_close(method.edit(inversion), plain, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(method.edit(inversion, torch.zeros(10, 32)), plain, atol=1e-5, rtol=1e-5)


def test_slices_edit_alone(method: Hfgi, images: Tensor) -> None:
    inversion, delta = method.invert(images), torch.randn(10, 32)
    both = method.edit(inversion, delta)
    torch.testing.assert_close(method.edit(inversion[1:2], delta), both[1:2], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(method.invert(images[1:2]).residual, inversion.residual[1:2], atol=1e-5, rtol=1e-5)


def test_what_runs_when(method: Hfgi, images: Tensor) -> None:
    stages: list[str] = []
    with listen(stages=lambda name, begins: stages.append(name) if begins else None):
        inversion = method.invert(images)
        assert stages == ["encode", "base", "align", "consult"]
        stages.clear()
        method.edit(inversion)
        assert stages == ["synthesise"]
        stages.clear()
        method.edit(inversion, torch.zeros(10, 32))
    assert stages == ["base", "align", "consult", "synthesise"]
    assert set(stages) < set(method.stages)


def test_the_low_rate_image_is_clamped_first_and_not_antialiased() -> None:
    image = torch.zeros(1, 1, 8, 8)
    image[0, 0, 1:3, 1:3] = torch.tensor([[9.0, 0.5], [-9.0, 0.25]])
    image[0, 0, 0, 0] = 1.0
    low = low_rate(image, (2, 2))
    assert low[0, 0, 0, 0].item() == pytest.approx((1 + 0.5 - 1 + 0.25) / 4)


def test_fusion_keeps_features_where_scale_and_shift_are_zero() -> None:
    features, zero = torch.randn(1, 8, 16, 16), torch.zeros(1, 8, 16, 16)
    assert torch.equal(fuse(features, zero, zero), features)
    torch.testing.assert_close(fuse(features, zero + 2, zero - 1), 3 * features - 1)


def test_the_condition_convolution_is_equalized(method: Hfgi) -> None:
    conv = EqualConv(4, 5)
    torch.nn.init.normal_(conv.bias)
    x = torch.randn(1, 4, 6, 6)
    expected = F.conv2d(x, conv.weight / 6, padding=1) + conv.bias[:, None, None]
    torch.testing.assert_close(conv(x), expected, atol=1e-6, rtol=1e-5)


def _write(path: Path, method: Hfgi, without: str = "-") -> Path:
    parts = {
        "encoder": method.encoder,
        "decoder": method.generator,
        "grid_align": method.alignment,
        "residue": method.consultation,
    }
    tensors = {f"{part}.{name}": value for part, net in parts.items() for name, value in net.state_dict().items()}
    tensors = {name: value for name, value in tensors.items() if name != without} | {"latent_avg": method.latent_avg}
    config = {"encoder": to_dict(ENCODER), "generator": to_dict(GENERATOR), "hfgi": to_dict(OWN)}
    write_safetensors(path, tensors, {"method": "hfgi", "domain": "faces", "config": config})
    return path


def test_our_file_gives_the_same_method(method: Hfgi, images: Tensor, tmp_path: Path) -> None:
    loaded = load_method("hfgi", checkpoint=_write(tmp_path / "own.safetensors", method))
    assert torch.equal(loaded.edit(loaded.invert(images)), method.edit(method.invert(images)))


def test_a_missing_tensor_is_named_with_its_network(method: Hfgi, tmp_path: Path) -> None:
    path = _write(tmp_path / "own.safetensors", method, without="residue.conv_layer1.0.weight")
    with pytest.raises(MissingError, match=r"residue does not fit: missing residue\.conv_layer1\.0\.weight"):
        load_method("hfgi", checkpoint=path)


def test_a_tensor_of_no_network_is_named(method: Hfgi, tmp_path: Path) -> None:
    path = _write(tmp_path / "own.safetensors", method)
    read = read_checkpoint(path)
    write_safetensors(path, {**read["state_dict"], "stranger.weight": torch.zeros(1)}, read["metadata"])
    with pytest.raises(MissingError, match=r"unexpected stranger\.weight"):
        load_method("hfgi", checkpoint=path)


def test_there_is_no_cars_network(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="hfgi has no cars network"):
        load_method("hfgi", domain="cars", checkpoint=tmp_path / "any.pt")


def test_an_e4e_file_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "wrong.pt"
    names = ("encoder.latlayer1.bias", "encoder.styles.17.linear.bias", "decoder.to_rgbs.7.bias")
    opts = {"encoder_type": "Encoder4Editing", "dataset_type": "ffhq_encode"}
    torch.save({"state_dict": dict.fromkeys(names, torch.zeros(1)), "opts": opts}, path)
    with pytest.raises(MissingError) as caught:
        load_method("hfgi", checkpoint=path)
    assert caught.value.what == f"{path} looks like e4e for faces, 1024 px; expected hfgi for faces, 1024 px"


def test_conformance(method: Hfgi) -> None:
    assert not [finding for finding in check(method) if not finding.ok]
