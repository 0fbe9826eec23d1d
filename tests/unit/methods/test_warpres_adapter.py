"""StyleRes and WarpRes behind the contract, from our checkpoints in parts, and the translation of released names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.core.checkpoint import load_strict, read_checkpoint, write_safetensors
from bench.core.contract import Method, listen
from bench.core.errors import MissingError, UsageError
from methods.nets.configs import from_dict, to_dict
from methods.nets.irse import IRSEConfig
from methods.nets.pyramid import PyramidConfig, PyramidEncoder
from methods.nets.stylegan2 import Generator, GeneratorConfig
from methods.registry import load_method
from methods.styleres.adapter import ResidualInversion
from methods.styleres.names import generator_tensors, official_name, residual_tensors, unused_shapes
from methods.styleres.network import ResidualConfig
from methods.styleres.pipeline import StyleRes, StyleResConfig
from methods.styletransformer.network import StyleTransformerEncoder, TransformerConfig
from methods.warpres.network import WarpRes, WarpResConfig
from methods.warpres.presets import PRESETS, WORLD_STYLERES, WORLD_WARPRES, preset
from tests.unit.methods.small import nvidia_layout

GENERATOR = GeneratorConfig(size=64, style_dim=64, mapping_layers=4, channels={4: 128, 8: 128, 16: 96, 32: 64, 64: 32})
BACKBONE = IRSEConfig(widths=(32, 48, 64, 96), units=(1, 1, 1, 1), reduction=8)
ENCODER = PyramidConfig(backbone=BACKBONE, rows=10, style_dim=64, middle=6, depths=(2, 3, 4))
PARTS: dict[str, tuple[type[StyleRes], StyleResConfig]] = {
    "styleres": (StyleRes, WORLD_STYLERES),
    "warpres": (WarpRes, WORLD_WARPRES),
}


def save(path: Path, part: str, key: str, config: Any, **tensors: nn.Module | Tensor) -> Path:
    named: dict[str, Tensor] = {}
    for prefix, value in tensors.items():
        if isinstance(value, Tensor):
            named[prefix] = value
        else:
            named |= {f"{prefix}.{name}": tensor for name, tensor in value.state_dict().items()}
    write_safetensors(path, named, {"method": part, "domain": "faces", "config": {key: to_dict(config)}})
    return path


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("parts")
    torch.manual_seed(0)
    generator = Generator(GENERATOR)
    average = 0.1 * torch.randn(64)
    made = {
        "generator": save(
            folder / "generator.safetensors", "generator", "generator", GENERATOR, decoder=generator, latent_avg=average
        ),
        "e4e": save(folder / "e4e.safetensors", "e4e", "encoder", ENCODER, encoder=PyramidEncoder(ENCODER)),
    }
    for name, (kind, config) in PARTS.items():
        made[name] = save(folder / f"{name}.safetensors", name, name, config, **{name: kind(config)})
    return made


def loaded(name: str, parts: dict[str, Path]) -> Any:
    return load_method(name, domain="faces", checkpoint=[parts["generator"], parts["e4e"], parts[name]])


def images(count: int = 3) -> Tensor:
    return torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(5)) * 2 - 1


def direction() -> Tensor:
    return torch.randn(10, 64, generator=torch.Generator().manual_seed(6))


@pytest.mark.parametrize("name", ["styleres", "warpres"])
def test_contract(name: str, parts: dict[str, Path]) -> None:
    method = loaded(name, parts)
    assert isinstance(method, Method)
    assert (method.input_size, method.output_size, method.latent_rows) == ((64, 64), (64, 64), 10)
    inversion = method.invert(images())
    assert inversion.codes.shape == (3, 10, 64)
    reconstruction = method.edit(inversion)
    assert reconstruction.shape == (3, 3, 64, 64)
    assert torch.equal(method.edit(inversion, torch.zeros(10, 64)), reconstruction)
    edit = method.edit(inversion, direction())
    assert (edit - reconstruction).abs().max() > 1e-3
    torch.testing.assert_close(method.edit(method.invert(images()), direction()), edit, atol=0, rtol=0)
    each = direction().expand(3, -1, -1)
    torch.testing.assert_close(method.edit(inversion, each), edit, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("name", ["styleres", "warpres"])
def test_slices_are_inversions_of_their_images(name: str, parts: dict[str, Path]) -> None:
    method = loaded(name, parts)
    whole = method.invert(images())
    part = whole[1:2]
    assert isinstance(part, ResidualInversion) and len(part) == 1
    torch.testing.assert_close(
        method.edit(part, direction()), method.edit(whole, direction())[1:2], atol=1e-4, rtol=1e-4
    )
    assert whole.to("cpu").residual.device.type == "cpu"


@pytest.mark.parametrize("name", ["styleres", "warpres"])
def test_stages_are_announced_in_the_order_given(name: str, parts: dict[str, Path]) -> None:
    method, heard = loaded(name, parts), []
    with listen(lambda stage, begins: heard.append(stage) if begins else None):
        method.edit(method.invert(images()))
    assert tuple(dict.fromkeys(heard)) == method.stages


def test_an_edit_repeats_nothing_of_the_image(parts: dict[str, Path]) -> None:
    method, heard = loaded("warpres", parts), []
    inversion = method.invert(images())
    with listen(lambda stage, begins: heard.append(stage) if begins else None):
        method.edit(inversion, direction())
    assert "encode" not in heard and "residual" not in heard


def test_the_same_parts_serve_the_base_encoder(parts: dict[str, Path]) -> None:
    base = load_method("e4e", domain="faces", checkpoint=[parts["e4e"], parts["generator"]])
    warpres = loaded("warpres", parts)
    torch.testing.assert_close(base.invert(images()).codes, warpres.invert(images()).codes, atol=0, rtol=0)


@pytest.mark.parametrize("trained", ["styleres", "warpres"])
@pytest.mark.parametrize("base", ["psp", "e4e", "styletransformer"])
def test_every_base_encoder_carries_both(base: str, trained: str, parts: dict[str, Path], tmp_path: Path) -> None:
    if base == "styletransformer":
        sizes: Any = TransformerConfig(backbone=replace(BACKBONE, widths=(32, 48, 64, 64)), tokens=10, feedforward=32)
        encoder: nn.Module = StyleTransformerEncoder(sizes)
    else:
        sizes = replace(ENCODER, wiring="rows" if base == "psp" else "deltas")
        encoder = PyramidEncoder(sizes)
    part = save(tmp_path / "base.safetensors", base, "encoder", sizes, encoder=encoder)
    files = [parts[trained], part, parts["generator"]]
    method = load_method(f"{base}+{trained}", domain="faces", checkpoint=files)
    alone = load_method(base, domain="faces", checkpoint=[part, parts["generator"]])
    inversion = method.invert(images())
    torch.testing.assert_close(inversion.codes, alone.invert(images()).codes, atol=0, rtol=0)
    assert (method.edit(inversion) - alone.edit(inversion)).abs().max() > 1e-3
    assert method.edit(inversion, direction()).shape == (3, 3, 64, 64)


def failing(name: str, files: Sequence[Path], words: str, error: type[Exception] = MissingError) -> None:
    with pytest.raises(error, match=words):
        load_method(name, domain="faces", checkpoint=list(files))


def test_a_missing_part_is_named(parts: dict[str, Path]) -> None:
    failing("warpres", [parts["generator"], parts["e4e"], parts["styleres"]], "warpres parts")
    failing("warpres", [parts["generator"], parts["generator"], parts["warpres"]], "both hold")
    failing("warpres", [parts["generator"], parts["warpres"]], "e4e")


@pytest.mark.parametrize("name", ["styleres", "warpres"])
def test_a_tensor_of_no_part_is_named(name: str, parts: dict[str, Path], tmp_path: Path) -> None:
    read = read_checkpoint(parts[name])
    more = tmp_path / "more.safetensors"
    write_safetensors(more, {**read["state_dict"], "stranger.weight": torch.zeros(1)}, read["metadata"])
    failing(name, [parts["generator"], parts["e4e"], more], r"unexpected stranger\.weight")


@pytest.mark.parametrize(
    ("what", "found", "words"), [("domain", "cars", "another domain"), ("base", "psp", "trained for base psp")]
)
def test_parts_trained_for_something_else_are_refused(
    what: str, found: str, words: str, parts: dict[str, Path], tmp_path: Path
) -> None:
    metadata = {"method": "warpres", "domain": "faces", "config": {"warpres": to_dict(WORLD_WARPRES)}, what: found}
    tensors = {f"warpres.{name}": value for name, value in WarpRes(WORLD_WARPRES).state_dict().items()}
    write_safetensors(tmp_path / "warpres.safetensors", tensors, metadata)
    failing("warpres", [tmp_path / "warpres.safetensors", parts["generator"], parts["e4e"]], words)


def test_a_tensor_too_few_is_named(parts: dict[str, Path], tmp_path: Path) -> None:
    model = WarpRes(WORLD_WARPRES)
    model.head.deconv4 = nn.Identity()  # type: ignore[assignment]
    broken = save(tmp_path / "warpres.safetensors", "warpres", "warpres", WORLD_WARPRES, warpres=model)
    failing("warpres", [parts["generator"], parts["e4e"], broken], r"missing warpres\.head\.deconv4\.weight")


def test_cars_take_the_middle_rows(parts: dict[str, Path]) -> None:
    from methods.nets.base import Canvas
    from methods.psp.adapter import PyramidMethod
    from methods.styleres.adapter import ResidualMethod

    torch.manual_seed(1)
    encoder = PyramidEncoder(replace(ENCODER, depths=(2, 3, 4)))
    base = PyramidMethod("e4e", Canvas.of("cars", 64), encoder, Generator(GENERATOR), torch.zeros(64))
    method = ResidualMethod("warpres", base, WarpRes(WORLD_WARPRES)).eval().requires_grad_(False)
    assert (method.input_size, method.output_size) == ((48, 64), (48, 64))
    inversion = method.invert(images(2)[:, :, 8:56])
    assert inversion.residual.shape == (2, 64, 32, 32)
    assert method.edit(inversion, direction()).shape == (2, 3, 48, 64)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_configurations_survive_json(name: str) -> None:
    import json

    config = preset(name)
    assert from_dict(type(config), json.loads(json.dumps(to_dict(config)))) == config
    with torch.device("meta"):
        (WarpRes(config) if isinstance(config, WarpResConfig) else StyleRes(config))


def test_an_unknown_configuration_is_answered_with_close_names() -> None:
    with pytest.raises(UsageError, match="world-warpres"):
        preset("world-warpress")


def test_nvidia_names_become_ours() -> None:
    torch.manual_seed(2)
    one, other = Generator(GENERATOR), Generator(GENERATOR)
    load_strict(other, generator_tensors(nvidia_layout(one)), "there and back")
    codes = torch.randn(1, 10, 64)
    assert torch.equal(one(codes), other(codes))


def test_our_names_become_nvidias_again() -> None:
    layout, unused = nvidia_layout(Generator(GENERATOR)), unused_shapes(64, 64)
    assert {name: tuple(layout[name].shape) for name in unused} == unused
    names = {f"decoder.{name}" for name in generator_tensors(layout)}
    assert {official_name(name) for name in names} == {f"generator_smooth.{name}" for name in layout.keys() - unused}
    assert official_name("encoder.body.0.x") == "e4e.body.0.x"
    assert official_name("injector.down1.bias") == "generator_smooth.synthesis.b64.modify_feature_gates.down1.bias"
    assert official_name("decoder.surprise.x") == "generator_smooth.surprise.x"


def test_an_unknown_name_of_the_layout_is_an_error_that_names_it() -> None:
    layout = nvidia_layout(Generator(GENERATOR))
    layout["synthesis.b8.conv0.surprise"] = torch.zeros(1)
    with pytest.raises(MissingError, match="surprise"):
        load_strict(Generator(GENERATOR), generator_tensors(layout), "a file")


def test_released_residual_parts_are_all_taken() -> None:
    with torch.device("meta"):
        model = StyleRes(StyleResConfig(residual=ResidualConfig(arch="styleres", width=512)))
    theirs = {
        "extractor.alignment.": "synthesis.b64.modify_feature_alignment.",
        "extractor.extraction.": "synthesis.b64.modify_feature_extraction.",
        "injector.": "synthesis.b64.modify_feature_gates.",
    }
    released = {}
    for name, value in model.state_dict().items():
        for prefix, official in theirs.items():
            if name.startswith(prefix):
                released[official + name.removeprefix(prefix)] = value
    assert residual_tensors(released).keys() == model.state_dict().keys()
    assert generator_tensors(released) == {}
