"""Files recognised by what is in them, whatever they are called."""

from __future__ import annotations

import gzip
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.core.errors import MissingError, UsageError
from bench.weights.adopt import Contents, adopt, contents_of, identify, matching, value_digest
from bench.weights.registry import Entry, entries, locate, read_pins

SHARED = Path(__file__).parents[4] / "shared" / "data" / "directions"
MANIFESTS = Path(__file__).parents[2] / "parity" / "data" / "manifests"
# Golden manifest -> (registry entry, the authors' encoder type, file name where the tensors cannot tell).
KNOWN = {
    "psp_ffhq": ("psp-faces", "GradualStyleEncoder"),
    "e4e_ffhq": ("e4e-faces", "Encoder4Editing"),
    "e4e_cars": ("e4e-cars", "Encoder4Editing"),
    "restyle_e4e_ffhq": ("restyle-faces", "ProgressiveBackboneEncoder"),
    "restyle_psp_ffhq": ("restyle-psp-faces", "BackboneEncoder"),
    "restyle_e4e_cars": ("restyle-cars", "ResNetProgressiveBackboneEncoder"),
    "hyperstyle_ffhq": ("hyperstyle-faces", "SharedWeightsHyperNetResNet"),
    "hyperstyle_cars": ("hyperstyle-cars", "SharedWeightsHyperNetResNet"),
    "hyperstyle_w_encoder_ffhq": ("hyperstyle-w-encoder-faces", ""),
    "hyperstyle_w_encoder_cars": ("hyperstyle-w-encoder-cars", ""),
    "hfgi_ffhq": ("hfgi-faces", "Encoder4Editing"),
    "style_transformer_ffhq": ("styletransformer-faces", ""),
    "style_transformer_cars": ("styletransformer-cars", ""),
    "styleres_ffhq": ("styleres-faces", ""),
    "warpc_glunet": ("warpc-glunet", ""),
    "warpc_semantic_glunet": ("warpc-semantic-glunet", ""),
    "curricularface": ("curricularface", ""),
    "arcface_irse50": ("arcface-irse50", ""),
}


def shapes(golden: str) -> dict[str, tuple[int, ...]]:
    path = MANIFESTS / f"{golden}.json.gz"
    if not path.exists():
        pytest.skip(f"the parity manifest {path.name} is not there")
    with gzip.open(path, "rt") as file:
        return {name: tuple(spec["shape"]) for name, spec in json.load(file)["tensors"].items()}


@pytest.mark.parametrize("golden", KNOWN)
def test_every_authors_file_is_recognised_by_its_tensors(golden: str) -> None:
    name, encoder_type = KNOWN[golden]
    found = matching(Contents(shapes(golden), encoder_type), list(entries().values()))
    assert [item.name for item in found] == [name]


def test_equal_tensors_without_options_are_told_by_the_name_only() -> None:
    contents = Contents(shapes("e4e_ffhq"))
    known = list(entries().values())
    assert {item.name for item in matching(contents, known)} == {"psp-faces", "e4e-faces"}
    assert [item.name for item in matching(contents, known, "e4e_ffhq_encode.pt")] == ["e4e-faces"]


def test_names_are_flattened_as_the_registry_writes_them() -> None:
    one = torch.zeros(1)
    nested = {"state_dict": {"a.b": one}, "latent_avg": one, "opts": {"encoder_type": "X", "n": 1}, "g_ema": {"c": one}}
    assert contents_of(nested) == Contents({"a.b": (1,), "latent_avg": (1,), "g_ema.c": (1,)}, "X")


@pytest.fixture
def small(registered: Callable[..., None]) -> None:
    registered(
        Entry("one", "checkpoint", "one.pt", "released", urls=("x",), tensors={"w": (2, 3)}, encoder_type="A"),
        Entry("two", "checkpoint", "two.pt", "released", urls=("x",), tensors={"w": (2, 3)}, encoder_type="B"),
        Entry("pack", "network", "pack.zip", "released", urls=("x",), members={"net.onnx": ""}),
        Entry("trio", "network", "trio.tar.gz", "released", urls=("x",), members=_members()),
        Entry("vector.pt", "direction", "vector.pt", "released", urls=("x",), seen=(_digest(b"v"),)),
    )


def _digest(content: bytes) -> str:
    import hashlib

    return hashlib.sha256(content).hexdigest()


def _members() -> dict[str, str]:
    return {"a.npy": _digest(b"a"), "b.npy": _digest(b"b")}


def save(path: Path, options: Any) -> Path:
    torch.save({"state_dict": {"w": torch.zeros(2, 3)}, "opts": options}, path)
    return path


@pytest.mark.usefixtures("small")
def test_checkpoints_under_other_names_are_taken_over(tmp_path: Path) -> None:
    folder = tmp_path / "Téléchargements du mois"
    folder.mkdir()
    save(folder / "download(1).pt", {"encoder_type": "B"})
    outcome = adopt(folder)
    assert [(item.file.name, item.name) for item in outcome] == [("download(1).pt", "two")]
    assert locate("two").read_bytes() == (folder / "download(1).pt").read_bytes()
    assert read_pins()["two"]["size"] == locate("two").stat().st_size
    assert adopt(folder)[0].detail == "already there"


@pytest.mark.usefixtures("small")
def test_what_cannot_be_told_is_said(tmp_path: Path) -> None:
    save(tmp_path / "x.pt", {})
    assert adopt(tmp_path)[0].detail.startswith("could be one or two")
    (tmp_path / "x.pt").rename(tmp_path / "one.pt")
    assert adopt(tmp_path)[0].name == "one"


@pytest.mark.usefixtures("small")
def test_archives_folders_and_small_files(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "whatever.zip", "w") as file:
        file.writestr("models/net.onnx", b"onnx")
    for name, content in (("x.npy", b"a"), ("y.npy", b"b"), ("z.pt", b"v")):
        (tmp_path / name).write_bytes(content)
    found = {item.file.name: item.name for item in adopt(tmp_path)}
    assert found == {"whatever.zip": "pack", "x.npy": "trio", "y.npy": "trio", "z.pt": "vector.pt"}
    assert locate("trio").is_dir()
    assert (locate("trio") / "b.npy").read_bytes() == b"b"
    with tarfile.open(tmp_path / "t.tar.gz", "w:gz") as tar:
        for name in ("x.npy", "y.npy"):
            tar.add(tmp_path / name, arcname={"x.npy": "a.npy", "y.npy": "b.npy"}[name])
    assert [item.name for item in identify(tmp_path / "t.tar.gz")] == ["trio"]


@pytest.mark.usefixtures("small")
def test_strangers_and_damaged_files_are_named(tmp_path: Path) -> None:
    torch.save({"g_ema": {"style.1.weight": torch.zeros(1)}}, tmp_path / "other.pt")
    (tmp_path / "page.pth").write_bytes(b"<!DOCTYPE html><html>quota</html>")
    whole = save(tmp_path / "cut.pt", {}).read_bytes()
    (tmp_path / "cut.pt").write_bytes(whole[: len(whole) // 2])
    details = {item.file.name: (item.name, item.detail) for item in adopt(tmp_path)}
    assert details["other.pt"][0] is None and "not in the registry" in details["other.pt"][1]
    assert "StyleGAN2 generator" in details["other.pt"][1]
    assert "web page" in details["page.pth"][1]
    assert "truncated" in details["cut.pt"][1]


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no such folder"):
        adopt(tmp_path / "nowhere")


def test_directions_are_recognised_by_their_values(tmp_path: Path, registered: Callable[..., None]) -> None:
    values = torch.linspace(0, 1, 8)[None]
    torch.save(values, tmp_path / "first.pt")
    first = value_digest(tmp_path / "first.pt")
    registered(Entry("age.pt", "direction", "age.pt", "released", urls=("x",), values=first))
    torch.save(values, tmp_path / "copy of it.pt", _use_new_zipfile_serialization=False)
    assert [item.name for item in identify(tmp_path / "copy of it.pt")] == ["age.pt"]
    torch.save(values + 1e-3, tmp_path / "other.pt")
    with pytest.raises(MissingError, match="holds a Tensor"):
        identify(tmp_path / "other.pt")


@pytest.mark.skipif(not SHARED.exists(), reason="the real direction files are not here")
def test_the_real_direction_files_are_recognised(tmp_path: Path) -> None:
    for number, path in enumerate(sorted(SHARED.iterdir())):
        copy = tmp_path / f"{number}{path.suffix}"
        copy.write_bytes(path.read_bytes())
        assert [item.name for item in identify(copy)] == [path.name]
        assert value_digest(path) == entries()[path.name].values


def test_a_home_that_cannot_be_written_is_told_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("WARPRES_BENCH_HOME", str(tmp_path / "file"))
    with pytest.raises(UsageError, match="is no folder"):
        adopt(tmp_path)
