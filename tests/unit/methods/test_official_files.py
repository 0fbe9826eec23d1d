"""Released files in their real layout but without content: what is missing or strange is named as in the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.core.errors import MissingError, UsageError
from methods import load_method
from methods.registry import Checkpoint
from methods.styleres import adapter
from methods.styleres.adapter import ResidualMethod
from tests import filling

Content = dict[str, Any]


def hollow(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[..., None] | None = None) -> Any:
    """The authors' file(s) of a manifest, every tensor one zero repeated to its shape; `change` alters the tensors."""

    def zeros(manifest: str, seed: int = 0, prefix: str = "", *, quick: bool = False) -> dict[str, torch.Tensor]:
        listed = filling.manifest(manifest)["tensors"]
        found = {key: torch.zeros(()).expand(spec["shape"]) for key, spec in listed.items() if key.startswith(prefix)}
        if manifest == name and change:
            change(found)
        return found

    monkeypatch.setattr(filling, "tensors", zeros)
    # Such a file claims more than it holds, which is refused; what is tested here comes after that.
    monkeypatch.setattr("bench.core.containers._UNHELD", 1 << 50)
    return filling.write(name, folder)


def without(key: str) -> Callable[..., None]:
    return lambda tensors: tensors.pop(key)


def also(key: str, *shape: int) -> Callable[..., None]:
    return lambda tensors: tensors.update({key: torch.zeros(shape)})


SMOOTH = "generator_smooth."
HYPER = "hypernet.refinement_blocks."
MISSING = [
    ("psp", "faces", "psp_ffhq", "encoder.body.0.res_layer.1.weight"),
    ("e4e", "cars", "e4e_cars", "encoder.styles.15.linear.weight"),
    ("restyle", "cars", "restyle_e4e_cars", "encoder.conv1.weight"),
    ("hyperstyle", "faces", "hyperstyle_ffhq", "hypernet.conv1.weight"),
    ("hfgi", "faces", "hfgi_ffhq", "encoder.latlayer1.weight"),
    ("styletransformer", "faces", "style_transformer_ffhq", "encoder.module.transformerlayer_fine.norm1.bias"),
    ("styletransformer", "cars", "style_transformer_cars", "encoder.module.body.3.res_layer.1.weight"),
    ("styletransformer", "faces", "style_transformer_ffhq", "decoder.module.style.1.weight"),
    ("featurestyle", "faces", "feature_style_ffhq", "block_2.0.bn1.weight"),
    ("featurestyle", "faces", "feature_style_ffhq", "decoder.conv1.conv.weight"),
    ("styleres", "faces", "styleres_ffhq", "e4e.latlayer1.weight"),
    ("styleres", "faces", "styleres_ffhq", f"{SMOOTH}mapping.w_avg"),
    ("styleres", "faces", "styleres_ffhq", f"{SMOOTH}synthesis.b4.resample_filter"),
    ("e4e+styleres", "faces", "styleres_ffhq", f"{SMOOTH}synthesis.b64.conv1.resample_filter"),
]


@pytest.mark.parametrize(("method", "domain", "name", "key"), MISSING)
def test_a_missing_tensor_is_named(
    method: str, domain: Any, name: str, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = hollow(name, tmp_path, monkeypatch, without(key))
    with pytest.raises(MissingError) as caught:
        load_method(method, domain=domain, checkpoint=files)
    assert f"does not fit: missing {key}" in caught.value.what
    assert "unexpected" not in caught.value.what


STRANGE = [
    ("hfgi", "hfgi_ffhq", "stranger.weight"),
    ("styletransformer", "style_transformer_ffhq", "stranger.weight"),
    ("styletransformer", "style_transformer_ffhq", "encoder.module.stranger.weight"),
    ("featurestyle", "feature_style_ffhq", "stranger.weight"),
    ("hyperstyle", "hyperstyle_ffhq", "stranger.weight"),
    ("hyperstyle", "hyperstyle_ffhq", f"{HYPER}14.hypernet.w1"),
    ("styleres", "styleres_ffhq", "e4e.stranger.weight"),
]


@pytest.mark.parametrize(("method", "name", "key"), STRANGE)
def test_a_strange_tensor_is_named(
    method: str, name: str, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = hollow(name, tmp_path, monkeypatch, also(key, 2))
    with pytest.raises(MissingError) as caught:
        load_method(method, checkpoint=files)
    assert f"unexpected {key}" in caught.value.what


@pytest.mark.parametrize("key", [f"{SMOOTH}synthesis.b8.conv0.weight", f"{SMOOTH}synthesis.b1024.torgb.affine.bias"])
def test_a_missing_tensor_of_styleress_generator_is_named(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = hollow("styleres_ffhq", tmp_path, monkeypatch, without(key))
    monkeypatch.setattr("methods.psp.adapter.load_part", _only("decoder."))
    with pytest.raises(MissingError) as caught:
        load_method("styleres", checkpoint=files)
    assert caught.value.what == f"{files[0]}: decoder does not fit: missing {key}"


def test_a_strange_tensor_of_the_mapping_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = hollow("styleres_ffhq", tmp_path, monkeypatch, also(f"{SMOOTH}mapping.embed.weight", 512, 512))
    monkeypatch.setattr("methods.psp.adapter.load_part", _only("decoder."))
    with pytest.raises(MissingError, match=rf"unexpected {SMOOTH}mapping\.embed\.weight"):
        load_method("styleres", checkpoint=files)


def test_a_missing_tensor_of_e2_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = f"{SMOOTH}synthesis.b64.modify_feature_gates.convs.0.res_layer.0.weight"
    files = hollow("styleres_ffhq", tmp_path, monkeypatch, without(key))
    monkeypatch.setattr("methods.psp.adapter.load_part", lambda *_: None)
    with pytest.raises(MissingError, match=f"missing {key}"):
        load_method("styleres", checkpoint=files)


def _only(prefix: str) -> Callable[..., None]:
    """`load_part` of one part alone: the encoder would take a gigabyte to copy."""
    from bench.core.checkpoint import load_part

    return lambda module, tensors, part, *rest: load_part(module, tensors, part, *rest) if part == prefix else None


@pytest.mark.parametrize("key", ["mapping.w_avg", "synthesis.b4.resample_filter", "synthesis.b8.conv1.resample_filter"])
def test_a_tensor_without_a_use_must_have_its_shape(key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = hollow("styleres_ffhq", tmp_path, monkeypatch, also(SMOOTH + key, 3, 3))
    with pytest.raises(MissingError) as caught:
        load_method("styleres", checkpoint=files)
    assert f"{SMOOTH}{key} has shape (3, 3), expected" in caught.value.what


@pytest.mark.parametrize("kind", ["warpc_glunet", "warpc_semantic_glunet"])
@pytest.mark.parametrize("wrapper", ["", "module."])
def test_a_missing_tensor_of_the_flow_network_is_named(kind: str, wrapper: str) -> None:
    from methods.warpres.adapter import load_flow_net

    listed = filling.manifest(kind)["tensors"]
    tensors = {wrapper + key: torch.zeros(()).expand(spec["shape"]) for key, spec in listed.items()}
    del tensors[f"{wrapper}deconv4.weight"], tensors[f"{wrapper}pyramid.level_1.0.bias"]
    with pytest.raises(MissingError) as caught:
        load_flow_net(Checkpoint(Path("flow.pth"), {"state_dict": tensors}))
    said = f"missing {wrapper}pyramid.level_1.0.bias, {wrapper}deconv4.weight"
    assert caught.value.what == f"flow.pth does not fit: {said}"


def _hyperstyle(folder: Path, change: Callable[[Content], None], monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    files = hollow("hyperstyle_ffhq", folder, monkeypatch)
    content = torch.load(files[0], weights_only=True)
    change(content["state_dict"])
    torch.save(content, files[0])
    return files


@pytest.mark.parametrize("key", [f"{HYPER}6.hypernet.w1", "hypernet.shared_weight_hypernet.b2"])
def test_a_missing_alias_of_hyperstyle_is_named(key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = _hyperstyle(tmp_path, without(key), monkeypatch)
    with pytest.raises(MissingError) as caught:
        load_method("hyperstyle", checkpoint=files)
    assert caught.value.what == f"{files[0]}: shared hypernetwork does not fit: missing {key}"


def test_a_missing_block_of_hyperstyle_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def drop(tensors: Content) -> None:
        for key in [key for key in tensors if key.startswith(f"{HYPER}12.")]:
            del tensors[key]

    files = _hyperstyle(tmp_path, drop, monkeypatch)
    with pytest.raises(MissingError, match=rf"missing {HYPER}12\."):
        load_method("hyperstyle", checkpoint=files)


E4E = "looks like e4e for faces, 1024 px"


def refusal(method: str, files: list[Path], domain: Any = "faces") -> str:
    with pytest.raises(MissingError) as caught:
        load_method(method, domain=domain, checkpoint=files)
    assert caught.value.exit_code == 3 and "\n" not in caught.value.what
    return caught.value.what


def test_wrong_files_are_recognised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (e4e,) = hollow("e4e_ffhq", tmp_path / "e4e", monkeypatch)
    main, w_encoder = hollow("hyperstyle_ffhq", tmp_path / "hyper", monkeypatch)
    (styleres,) = hollow("styleres_ffhq", tmp_path / "styleres", monkeypatch)
    assert refusal("styleres", [e4e]) == f"{e4e} {E4E}; expected styleres for faces, 1024 px"
    assert refusal("e4e+styleres", [e4e]) == f"{e4e} {E4E}; expected styleres for faces, 1024 px"
    assert refusal("styleres", [styleres], "cars").endswith("expected styleres for cars, 512 px")
    for files in ([main, e4e], [e4e, main]):
        assert refusal("hyperstyle", files) == f"{e4e} {E4E}; expected hyperstyle's W encoder for faces, 1024 px"
    assert refusal("hyperstyle", [e4e, w_encoder]) == f"{e4e} {E4E}; expected hyperstyle for faces, 1024 px"
    assert "expected hyperstyle's W encoder" in refusal("hyperstyle", [main, main])
    assert f"{e4e} {E4E}" in (both := refusal("styleres+flow", [e4e, main]))
    assert f"{main} looks like hyperstyle for faces, 1024 px; expected styleres and a GLU-Net flow network" in both
    assert refusal("styleres+flow", [styleres, e4e]).startswith(f"{e4e} {E4E}; expected a GLU-Net flow network")
    with pytest.raises(UsageError, match=r"styleres needs 1 file\(s\), got 2"):
        load_method("styleres", checkpoint=[styleres, e4e])


def test_styleres_on_e4e_is_styleres(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from methods.nets.base import Canvas
    from methods.nets.pyramid import PyramidEncoder
    from methods.nets.stylegan2 import Generator
    from methods.psp.adapter import PyramidMethod
    from methods.styleres.network import ResidualConfig
    from methods.styleres.pipeline import StyleRes, StyleResConfig
    from tests.unit.methods.test_hfgi import ENCODER, GENERATOR

    base = PyramidMethod("e4e", Canvas.of("faces", 64), PyramidEncoder(ENCODER), Generator(GENERATOR), torch.zeros(32))
    sizes = ResidualConfig(arch="styleres", width=8, base_channels=8, feature_channels=8)
    model = StyleRes(StyleResConfig(residual=sizes, feature_res=32, base_tap=0))
    monkeypatch.setattr(adapter, "build_released", lambda domain, file: (base, model))
    (released,) = hollow("styleres_ffhq", tmp_path, monkeypatch)
    made = [load_method(name, checkpoint=released) for name in ("styleres", "e4e+styleres")]
    assert [method.name for method in made] == ["styleres", "e4e+styleres"]
    assert all(isinstance(method, ResidualMethod) and method.model is model for method in made)
