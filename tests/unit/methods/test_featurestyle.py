"""FeatureStyle at a small size: where the feature map enters, what an edit does to it, its two files, the contract."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.core.checkpoint import write_safetensors
from bench.core.contract import listen
from bench.core.errors import MissingError, UsageError
from methods import load_method
from methods.conformance import check
from methods.featurestyle.adapter import FeatureStyle
from methods.featurestyle.network import FeatureEncoderConfig, FeatureStyleEncoder
from methods.nets.base import Canvas
from methods.nets.configs import to_dict
from methods.nets.stylegan2 import Generator, GeneratorConfig

GENERATOR = GeneratorConfig(size=64, style_dim=32, mapping_layers=2, channels=dict.fromkeys((4, 8, 16, 32, 64), 8))
ENCODER = FeatureEncoderConfig(
    halvings=1,
    stem=4,
    widths=(4, 6, 8, 10),
    depths=(1, 2, 1, 1),
    rows=10,
    style_dim=32,
    pooled=2,
    feature_width=8,
    feature_stride=1,
    insert_at=1,
)


@pytest.fixture(scope="module")
def method() -> FeatureStyle:
    torch.manual_seed(0)
    networks = Generator(GENERATOR), FeatureStyleEncoder(ENCODER)
    made = FeatureStyle("featurestyle", Canvas.of("faces", 64, input_width=64), *networks, torch.randn(1, 10, 32))
    return made.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_edits_are_the_cards(method: FeatureStyle, images: Tensor) -> None:
    inversion = method.invert(images)
    delta = torch.randn(2, 10, 32)
    half = F.interpolate(images, scale_factor=0.5, mode="bilinear", align_corners=False)
    rows, features = method.encoder(half)
    torch.testing.assert_close(inversion.codes, rows + method.latent_avg)
    moved = inversion.codes + delta
    before, after = (method.generator.advance(None, codes, 1) for codes in (inversion.codes, moved))
    state = after.with_features(features + after.x - before.x)
    expected = method.generator.advance(state, moved).rgb
    torch.testing.assert_close(method.edit(inversion, delta), expected, atol=1e-5, rtol=1e-5)
    plain = method.generator.advance(before.with_features(features), inversion.codes).rgb
    torch.testing.assert_close(method.edit(inversion), plain, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(method.edit(inversion, torch.zeros(10, 32)), plain, atol=1e-5, rtol=1e-5)


def test_the_rgb_below_the_insertion_never_sees_the_feature_map(method: FeatureStyle, images: Tensor) -> None:
    inversion = method.invert(images)
    assert inversion.rgb is not None
    torch.testing.assert_close(inversion.rgb, method.generator.advance(None, inversion.codes, 1).rgb)


def test_slices_edit_alone(method: FeatureStyle, images: Tensor) -> None:
    inversion, delta = method.invert(images), torch.randn(10, 32)
    both = method.edit(inversion, delta)
    torch.testing.assert_close(method.edit(inversion[1:2], delta), both[1:2], atol=1e-5, rtol=1e-5)
    alone = method.invert(images[1:2])
    torch.testing.assert_close(alone.features, inversion.features[1:2], atol=1e-5, rtol=1e-5)


def test_what_runs_when(method: FeatureStyle, images: Tensor) -> None:
    stages: list[str] = []
    with listen(stages=lambda name, begins: stages.append(name) if begins else None):
        inversion = method.invert(images)
        method.edit(inversion)
        method.edit(inversion, torch.zeros(10, 32))
    assert stages == ["encode", "feature", "synthesise", "feature", "synthesise"]


def test_the_image_must_have_the_generators_size(method: FeatureStyle) -> None:
    with pytest.raises(UsageError, match="expected \\(N, 3, 64, 64\\)"):
        method.invert(torch.zeros(1, 3, 32, 32))


def _parts(method: FeatureStyle) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    encoder = dict(method.encoder.state_dict())
    decoder = {f"decoder.{name}": value for name, value in method.generator.state_dict().items()}
    return encoder, decoder


def test_our_file_gives_the_same_method(method: FeatureStyle, images: Tensor, tmp_path: Path) -> None:
    encoder, decoder = _parts(method)
    tensors = {f"encoder.{name}": value for name, value in encoder.items()} | decoder
    config = {"encoder": to_dict(ENCODER), "generator": to_dict(GENERATOR)}
    path = tmp_path / "own.safetensors"
    metadata = {"method": "featurestyle", "domain": "faces", "config": config}
    write_safetensors(path, {**tensors, "latent_avg": method.latent_avg}, metadata)
    loaded = load_method("featurestyle", checkpoint=path)
    assert torch.equal(loaded.edit(loaded.invert(images)), method.edit(method.invert(images)))
    more = {**tensors, "latent_avg": method.latent_avg, "stranger.weight": torch.zeros(1)}
    write_safetensors(path, more, metadata)
    with pytest.raises(MissingError, match=r"unexpected stranger\.weight"):
        load_method("featurestyle", checkpoint=path)


def _files(folder: Path) -> tuple[Path, Path, Path]:
    """Files whose names (not sizes) are those of the encoder, of a pSp checkpoint and of HFGI's."""
    encoder, psp, hfgi = folder / "a.pt", folder / "b.pt", folder / "c.pt"
    one = torch.zeros(1)
    torch.save({"block_1.0.bn1.weight": one, "content_layer.1.weight": one, "styles.17.weight": one}, encoder)
    names = ("encoder.latlayer1.bias", "encoder.styles.17.x", "decoder.to_rgbs.7.bias")
    opts = {"encoder_type": "GradualStyleEncoder", "dataset_type": "ffhq_encode"}
    torch.save({"state_dict": dict.fromkeys(names, one), "latent_avg": one, "opts": opts}, psp)
    names = ("encoder.styles.17.x", "residue.x", "grid_align.x", "decoder.to_rgbs.7.bias")
    torch.save({"state_dict": dict.fromkeys(names, one), "opts": {"dataset_type": "ffhq_encode"}}, hfgi)
    return encoder, psp, hfgi


@pytest.mark.parametrize("swap", [False, True])
def test_the_file_that_is_wrong_is_named(tmp_path: Path, swap: bool) -> None:
    encoder, psp, hfgi = _files(tmp_path)

    def message(*paths: Path) -> str:
        with pytest.raises(MissingError) as caught:
            load_method("featurestyle", checkpoint=paths[::-1] if swap else paths)
        return caught.value.what

    assert message(encoder, hfgi).startswith(f"{hfgi} looks like hfgi for faces, 1024 px; expected psp")
    assert message(hfgi, psp).startswith(f"{hfgi} looks like hfgi for faces, 1024 px; expected featurestyle's encoder")
    assert "looks like featurestyle's encoder" in message(encoder, encoder)
    assert "looks like psp for faces, 1024 px; expected featurestyle's encoder" in message(psp, psp)
    # The right pair is told apart in any order and gets as far as the tensors, which here are missing.
    assert "missing" in message(encoder, psp)


def test_both_files_are_needed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"needs 2 file\(s\), got 1"):
        load_method("featurestyle", checkpoint=_files(tmp_path)[0])


def test_conformance(method: FeatureStyle) -> None:
    assert not [finding for finding in check(method) if not finding.ok]
