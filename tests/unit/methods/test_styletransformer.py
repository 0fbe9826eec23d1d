"""StyleTransformer at a small size: attention as the card states it, names, files and the contract."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bench.core.checkpoint import write_safetensors
from bench.core.errors import MissingError
from methods import load_method
from methods.conformance import check
from methods.nets.base import Canvas
from methods.nets.configs import to_dict
from methods.nets.irse import IRSEConfig
from methods.nets.stylegan2 import Generator, GeneratorConfig
from methods.styletransformer.adapter import StyleTransformer
from methods.styletransformer.names import encoder_names, official_names
from methods.styletransformer.network import StyleTransformerEncoder, TransformerConfig, memory, queries

GENERATOR = GeneratorConfig(size=64, style_dim=32, mapping_layers=2, channels=dict.fromkeys((4, 8, 16, 32, 64), 8))
ENCODER = TransformerConfig(IRSEConfig(widths=(8, 16, 16, 32), units=(1, 1, 1, 1), reduction=4), 10, 4, 48)


@pytest.fixture(scope="module")
def method() -> StyleTransformer:
    torch.manual_seed(0)
    networks = Generator(GENERATOR), StyleTransformerEncoder(ENCODER)
    made = StyleTransformer("styletransformer", Canvas.of("faces", 64), *networks, torch.randn(32))
    return made.eval().requires_grad_(False)


def _images(n: int = 3) -> Tensor:
    return torch.rand(n, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1


def _attention(weights: dict[str, Tensor], part: str, query: Tensor, key: Tensor, heads: int) -> Tensor:
    """The card's attention for one image: packed projections, scores over the root of the head's width, softmax."""
    packed, bias = weights[f"{part}.in_proj_weight"], weights[f"{part}.in_proj_bias"]
    width = query.shape[-1]
    projected = []
    for index, x in enumerate((query, key, key)):
        rows = slice(index * width, (index + 1) * width)
        projected.append((x @ packed[rows].T + bias[rows]).unflatten(-1, (heads, -1)).transpose(0, 1))
    q, k, v = projected
    mixed = ((q @ k.transpose(1, 2) / math.sqrt(width // heads)).softmax(-1) @ v).transpose(0, 1).flatten(1)
    return mixed @ weights[f"{part}.out_proj.weight"].T + weights[f"{part}.out_proj.bias"]


def test_a_layer_is_the_cards_formula(method: StyleTransformer) -> None:
    layer = method.encoder.tokens.fine
    weights = layer.state_dict()
    torch.manual_seed(2)
    tokens, features = torch.randn(1, 10, 32), torch.randn(1, 32, 4, 6)
    attend = memory(features)
    assert torch.equal(attend[0, 7], features[0, :, 1, 1])
    t = layer.norm1(tokens[0] + _attention(weights, "self_attn", tokens[0], tokens[0], 4))
    t = layer.norm2(t + _attention(weights, "multihead_attn", t, attend[0], 4))
    hidden = (t @ weights["linear1.weight"].T + weights["linear1.bias"]).relu()
    expected = layer.norm3(t + hidden @ weights["linear2.weight"].T + weights["linear2.bias"])
    torch.testing.assert_close(layer(tokens, attend)[0], expected, atol=1e-5, rtol=1e-5)


def test_the_query_maps_every_token_alone(method: StyleTransformer) -> None:
    z = method.encoder.tokens.z
    expected = torch.cat([method.generator.mapping(row[None]) for row in z[0]])
    torch.testing.assert_close(queries(z, method.generator.mapping)[0], expected)


def test_codes_do_not_depend_on_the_batch(method: StyleTransformer) -> None:
    images = _images()
    together = method.invert(images).codes
    alone = torch.cat([method.invert(image[None]).codes for image in images])
    assert together.shape == (3, 10, 32)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_edits(method: StyleTransformer) -> None:
    inversion = method.invert(_images())
    plain = method.edit(inversion)
    assert plain.shape == (3, 3, 64, 64)
    torch.testing.assert_close(method.edit(inversion, torch.zeros(10, 32)), plain)
    delta = torch.randn(3, 10, 32)
    torch.testing.assert_close(
        method.edit(inversion, delta)[1:2], method.edit(inversion[1:2], delta[1:2]), atol=1e-5, rtol=1e-5
    )
    torch.testing.assert_close(method.edit(inversion, delta), method.synthesise(inversion.codes + delta))


def test_cars_read_three_quarters_of_the_rows() -> None:
    torch.manual_seed(0)
    networks = Generator(GENERATOR), StyleTransformerEncoder(ENCODER)
    cars = StyleTransformer("styletransformer", Canvas.of("cars", 64), *networks, torch.randn(16, 32)).eval()
    with torch.no_grad():
        inversion = cars.invert(torch.rand(1, 3, 48, 64) * 2 - 1)
        image = cars.edit(inversion)
        assert torch.equal(image, cars.generator(inversion.codes)[:, :, 8:56])
    assert image.shape == (1, 3, 48, 64)


def test_more_tokens_than_rows_all_attend_and_the_first_are_read() -> None:
    torch.manual_seed(0)
    generator = Generator(GENERATOR)
    encoder = StyleTransformerEncoder(TransformerConfig(ENCODER.backbone, 12, 4, 48))
    method = StyleTransformer("styletransformer", Canvas.of("faces", 64), generator, encoder, torch.zeros(32)).eval()
    with torch.no_grad():
        codes = method.invert(_images(1)).codes
        rows = encoder.encode(_images(1), queries(encoder.tokens.z, generator.mapping))[0]
        torch.testing.assert_close(codes, rows[:, :10])
        encoder.tokens.z[:, 11] += 1.0
        assert not torch.allclose(codes, method.invert(_images(1)).codes, atol=1e-6)


def test_official_names_become_ours_with_and_without_the_wrapper() -> None:
    found = encoder_names({"module.z": torch.zeros(1), "transformerlayer_fine.norm1.bias": torch.zeros(1)})
    assert list(found) == ["tokens.z", "tokens.fine.norm1.bias"]


@pytest.mark.parametrize("wrapper", ["module.", ""])
def test_our_names_become_the_files(wrapper: str) -> None:
    official = official_names({f"encoder.{wrapper}z": torch.zeros(1), f"decoder.{wrapper}x": torch.zeros(1)})
    assert official("encoder.tokens.z") == f"encoder.{wrapper}z"
    assert official("encoder.tokens.fine.norm1.bias") == f"encoder.{wrapper}transformerlayer_fine.norm1.bias"
    assert official("encoder.body.0.x") == f"encoder.{wrapper}body.0.x"
    assert official("decoder.convs.0.x") == f"decoder.{wrapper}convs.0.x"
    assert official_names({"encoder.tokens.z": torch.zeros(1)})("encoder.tokens.z") == "encoder.tokens.z"


def _write(path: Path, method: StyleTransformer, **changed: Tensor) -> Path:
    tensors = {f"encoder.{name}": value for name, value in method.encoder.state_dict().items()}
    tensors |= {f"decoder.{name}": value for name, value in method.generator.state_dict().items()}
    tensors |= {"latent_avg": method.latent_avg, **changed}
    config = {"encoder": to_dict(ENCODER), "generator": to_dict(GENERATOR)}
    write_safetensors(path, tensors, {"method": "styletransformer", "domain": "faces", "config": config})
    return path


def test_our_file_gives_the_same_method(method: StyleTransformer, tmp_path: Path) -> None:
    loaded = load_method("styletransformer", checkpoint=_write(tmp_path / "own.safetensors", method))
    expected = method.invert(_images(1))
    inversion = loaded.invert(_images(1))
    assert torch.equal(inversion.codes, expected.codes)
    assert torch.equal(loaded.edit(inversion), method.edit(expected))


def test_a_strange_tensor_is_named(method: StyleTransformer, tmp_path: Path) -> None:
    path = _write(tmp_path / "own.safetensors", method, **{"encoder.tokens.extra": torch.zeros(1)})
    with pytest.raises(MissingError, match=r"unexpected encoder\.tokens\.extra"):
        load_method("styletransformer", checkpoint=path)
    path = _write(tmp_path / "own.safetensors", method, **{"stranger.weight": torch.zeros(1)})
    with pytest.raises(MissingError, match=r"unexpected stranger\.weight"):
        load_method("styletransformer", checkpoint=path)


def test_the_other_domains_file_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "wrong.pt"
    names = ("encoder.module.z", "decoder.module.to_rgbs.6.bias")
    torch.save({"state_dict": dict.fromkeys(names, torch.zeros(1)), "opts": {"dataset_type": "cars_encode"}}, path)
    with pytest.raises(MissingError) as caught:
        load_method("styletransformer", checkpoint=path)
    looks = f"{path} looks like styletransformer for cars, 512 px"
    assert caught.value.what == f"{looks}; expected styletransformer for faces, 1024 px"


def test_conformance(method: StyleTransformer) -> None:
    assert not [finding for finding in check(method) if not finding.ok]
