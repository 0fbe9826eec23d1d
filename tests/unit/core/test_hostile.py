"""Files that would hang, fill the memory or run something, and files whose wrapping nobody thought of."""

from __future__ import annotations

import io
import os
import struct
import tarfile
import zipfile
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from bench.core.archives import MOST_MEMBERS, directory_size, tar_members, zip_members
from bench.core.checkpoint import read_checkpoint
from bench.core.errors import MissingError
from bench.core.signature import recognise
from bench.core.small_files import read_tensors
from bench.weights.adopt import adopt

GENERATOR = {name: torch.ones(1) for name in ("style.1.weight", "convs.0.conv.weight", "to_rgb1.bias")}
ENCODER = {
    name: torch.ones(1)
    for name in (
        "encoder.input_layer.0.weight",
        "encoder.latlayer1.weight",
        "encoder.styles.0.x",
        "encoder.styles.17.x",
    )
}
MEAN = torch.ones(18, 512)


def prefixed(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {prefix + name: value for name, value in tensors.items()}


def looks(path: Path, content: object) -> str:
    torch.save(content, path)
    return recognise(read_checkpoint(path)).what


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "module.",
        "_orig_mod.",
        "model.",
        "net.",
        "module._orig_mod.",
        "model.module.",
        "ema_model.",
        "_forward_module.",
    ],
)
def test_encoders_behind_any_prefix(tmp_path: Path, prefix: str) -> None:
    assert looks(tmp_path / "x.pt", {"state_dict": prefixed(prefix, ENCODER), "latent_avg": MEAN}) == "e4e or psp"
    content = read_checkpoint(tmp_path / "x.pt")
    assert set(content["state_dict"]) == set(ENCODER) and content["latent_avg"].shape == MEAN.shape


@pytest.mark.parametrize(
    "key", ["state_dict", "model", "model_state_dict", "net", "weights", "checkpoint", "state", "ema", "module"]
)
def test_encoders_below_any_key(tmp_path: Path, key: str) -> None:
    other = {"optimizer": {"state": {0: torch.ones(2)}}, "epoch": 3}
    assert looks(tmp_path / "x.pt", {key: ENCODER, "latent_avg": MEAN, **other}) == "e4e or psp"
    assert looks(tmp_path / "y.pt", {"outer": {key: ENCODER, "latent_avg": MEAN}}) == "e4e or psp"
    assert "latent_avg" in read_checkpoint(tmp_path / "y.pt")


@pytest.mark.parametrize(
    "content",
    [
        *({key: GENERATOR} for key in ("g_ema", "params_ema", "G_ema", "g", "G", "generator", "ema", "netG", "params")),
        *({key: GENERATOR} for key in ("state_dict", "model", "gen", "g_ema_state_dict", "ema_model")),
        *(prefixed(prefix, GENERATOR) for prefix in ("", "module.", "generator.", "g_ema.", "net.")),
        {"state": {"g_ema": GENERATOR}},
        {"g_ema": prefixed("module.", GENERATOR)},
        {"g": GENERATOR, "d": {"convs.0.weight": torch.ones(1)}},
    ],
)
def test_generators_below_any_key_and_prefix(tmp_path: Path, content: dict[str, object]) -> None:
    assert looks(tmp_path / "x.pt", content) == "a StyleGAN2 generator"
    assert set(read_checkpoint(tmp_path / "x.pt")["g_ema"]) == set(GENERATOR)


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}, {"title": "mine", "modelspec.author": "me"}])
def test_safetensors_with_anybodys_metadata(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    save_file({**ENCODER, "latent_avg": MEAN}, tmp_path / "e.safetensors", metadata)
    content = read_checkpoint(tmp_path / "e.safetensors")
    assert recognise(content).what == "e4e or psp" and "metadata" not in content and "latent_avg" in content
    save_file(prefixed("g_ema.", GENERATOR), tmp_path / "g.safetensors", metadata)
    assert set(read_checkpoint(tmp_path / "g.safetensors")["g_ema"]) == set(GENERATOR)
    save_file(prefixed("state_dict.", ENCODER), tmp_path / "s.safetensors", metadata)
    assert recognise(read_checkpoint(tmp_path / "s.safetensors")).what == "e4e or psp"


@pytest.mark.parametrize(
    "value",
    [
        np.float64(3), np.int32(3), np.bool_(1), np.ones(3), Path("x"), datetime(2020, 1, 1),
        torch.device("cpu"), torch.float32, [1, "x"], None,
    ],
)  # fmt: skip
def test_inert_things_beside_tensors_are_no_reason_to_refuse(tmp_path: Path, value: object) -> None:
    assert looks(tmp_path / "x.pt", {"state_dict": ENCODER, "latent_avg": MEAN, "about": value}) == "e4e or psp"


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("evil",)


def test_code_is_refused_with_the_lines_that_save_it_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": ENCODER, "x": Evil()}, "x.pt")
    with pytest.raises(MissingError, match="forbidden global") as error:
        read_checkpoint(Path("x.pt"))
    assert "torch.save" in error.value.next_step
    assert not Path("evil").exists()


def test_many_views_of_little_are_refused(tmp_path: Path) -> None:
    one = torch.zeros(1 << 20)
    torch.save({str(index): one.view(1024, 1024) for index in range(4000)}, tmp_path / "shared.pt")
    torch.save({str(index): torch.zeros(1).expand(1 << 25) for index in range(100)}, tmp_path / "wide.pt")
    torch.save({"a": torch.zeros(1, dtype=torch.int64).expand(10**9)}, tmp_path / "whole.pt")
    for file in ("shared.pt", "wide.pt", "whole.pt"):
        for read in (read_checkpoint, read_tensors):
            with pytest.raises(MissingError, match="claims"):
                read(tmp_path / file)


def test_archives_are_counted_and_sized_before_they_are_unpacked(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", bytes(50_000_000))
    long = tmp_path / "long.zip"
    with zipfile.ZipFile(long, "w") as archive:
        archive.writestr("x" * 5000, b"x")
    packed = tmp_path / "bomb.tar.gz"
    with tarfile.open(packed, "w:gz") as tar:
        about = tarfile.TarInfo("a.npy")
        about.size = 50_000_000
        tar.addfile(about, io.BytesIO(bytes(50_000_000)))
    for read, path in ((zip_members, bomb), (zip_members, long), (tar_members, packed)):
        with pytest.raises(MissingError, match="no archive of ours"):
            read(path)


def test_a_list_of_members_without_end_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "many.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", b"x")
    assert 0 < directory_size(path) < 100
    content = bytearray(path.read_bytes())
    at = content.rfind(b"PK\x05\x06")
    struct.pack_into("<HH", content, at + 8, 65535, 65535)
    struct.pack_into("<L", content, at + 12, 1 << 30)
    path.write_bytes(bytes(content))
    with pytest.raises(MissingError, match=f"more than {MOST_MEMBERS:,} members"):
        zip_members(path)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.npy", b"<html><body>", "web page"),
        ("a.npy", b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        ("a.npy", b"", "empty"),
        (
            "a.npy",
            b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '<f4', 'fortran_order': False, 'shape': (10**12,), }",
            "cannot",
        ),
        ("a.npy", b"\x80\x04K\x01.", "as an array"),
        ("a.pt", b"Access denied", "not a PyTorch checkpoint"),
        ("a.pt", b'{"error": 1}', "not a PyTorch checkpoint"),
    ],
)
def test_direction_files_get_the_same_look(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MissingError, match=says):
        read_tensors(tmp_path / name)


def test_an_array_never_has_more_than_its_file(tmp_path: Path) -> None:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }".ljust(117) + b"\n"
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\x00v\x00" + header)
    with pytest.raises(MissingError, match="promises an array"):
        read_tensors(tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", np.arange(3, dtype=">f4"))
    found = read_tensors(tmp_path / "b.npy")
    assert isinstance(found, torch.Tensor) and found.tolist() == [0, 1, 2]


def test_one_odd_file_never_ends_an_adoption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARPRES_BENCH_HOME", str(tmp_path / "home"))
    folder = tmp_path / "in"
    folder.mkdir()
    circle: dict[str, object] = {}
    circle["a"] = circle
    odd = {
        "list": {"state_dict": ENCODER, "opts": ["--a"]}, "text": {"state_dict": ENCODER, "opts": "x"},
        "meta": {"a": torch.empty(3, device="meta")}, "sparse": {"a": torch.eye(3).to_sparse()}, "circle": circle,
        "none": None, "number": {1: torch.ones(1), (2, 3): torch.ones(1)}, "state": {"state_dict": [torch.ones(1)]},
        "metadata": {"metadata": [1], "state_dict": ENCODER}, "short": {"a": torch.zeros(3).to(torch.float8_e4m3fn)},
        "complex": {"a": torch.zeros(3, dtype=torch.complex64)}, "wide": torch.zeros(1).expand(10**6, 10**6),
    }  # fmt: skip
    for name, content in odd.items():
        torch.save(content, folder / f"{name}.pt")
    os.mkfifo(folder / "pipe.pt")
    (folder / "loop.pt").symlink_to("loop.pt")
    (folder / "nowhere.pt").symlink_to("gone")
    (folder / "zero.npy").symlink_to("/dev/zero")
    (folder / "half.zip").write_bytes(b"PK\x03\x04" + bytes(100))
    (folder / "half.tar.gz").write_bytes(b"\x1f\x8b" + bytes(100))
    (folder / "locked.pt").write_bytes(b"x")
    (folder / "locked.pt").chmod(0)
    found = adopt(folder)
    assert {item.file.name for item in found} >= {f"{name}.pt" for name in odd}
    assert all(item.name is None for item in found)
