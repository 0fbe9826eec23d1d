"""Files that hang, swell or hide: refused at once; the same networks in other wrappings: one form."""

from __future__ import annotations

import argparse
import os
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from bench.core.checkpoint import read_checkpoint
from bench.core.errors import ImageError, MissingError
from bench.core.options import options_of
from bench.core.signature import recognise
from bench.data.images import decode
from bench.edits.direction_files import read_tensor

E4E = ("encoder.latlayer1.weight", "encoder.styles.0.linear.weight", "decoder.to_rgb1.bias")
GENERATOR = ("style.1.weight", "convs.0.conv.weight", "to_rgb1.bias", "to_rgbs.0.bias")


def _tensors(names: tuple[str, ...]) -> dict[str, torch.Tensor]:
    return {name: torch.ones(2) for name in names}


def _saved(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "file.pt"
    torch.save(content, path)
    return path


def _nested(levels: int, width: int) -> dict[str, Any]:
    inner: dict[str, Any] = {"x": torch.ones(1)}
    for _ in range(levels):
        inner = {str(place): inner for place in range(width)}
    return inner


@pytest.mark.parametrize(
    "content",
    [
        _nested(40, 2),
        _nested(12, 6),
        {"x": torch.zeros(1).expand(10**6, 10**6)},
        {"deep": [({"x": torch.zeros(1).expand(10**6, 10**6)},)]},
        {"x": torch.zeros(2, 2).to_sparse()},
        {"x": torch.zeros(2, device="meta")},
    ],
)
def test_what_would_hang_or_fill_the_memory_is_refused_at_once(tmp_path: Path, content: Any) -> None:
    path = _saved(tmp_path, content)
    began = time.process_time()
    with pytest.raises(MissingError, match=r"file\.pt"):
        read_checkpoint(path)
    with pytest.raises(MissingError, match=r"file\.pt"):
        read_tensor(path)
    assert time.process_time() - began < 2


def test_a_container_that_holds_itself_is_refused(tmp_path: Path) -> None:
    content: dict[str, Any] = {"x": torch.ones(1)}
    content["state_dict"] = content
    with pytest.raises(MissingError, match="holds itself"):
        read_checkpoint(_saved(tmp_path, content))


def test_a_compressed_archive_is_not_unpacked(tmp_path: Path) -> None:
    plain = _saved(tmp_path, _tensors(E4E))
    packed = tmp_path / "packed.pt"
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    with pytest.raises(MissingError, match="compressed zip archive"):
        read_checkpoint(packed)


def test_pipes_and_devices_are_not_read(tmp_path: Path) -> None:
    pipe, link = tmp_path / "x.png", tmp_path / "zero.png"
    os.mkfifo(pipe)
    link.symlink_to("/dev/zero")
    for path in (pipe, link):
        with pytest.raises(MissingError, match="no regular file"):
            read_checkpoint(path)
        with pytest.raises(ImageError, match="no regular file"):
            decode(path)


def test_postscript_named_as_an_image_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\nshowpage\n")
    with pytest.raises(ImageError, match="not an image"):
        decode(path)


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_a_converted_file_is_the_authors_own(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    path = tmp_path / "e4e.safetensors"
    save_file({**_tensors(E4E), "latent_avg": torch.ones(18, 4)}, path, metadata)
    content = read_checkpoint(path)
    assert recognise(content).fits("e4e") and "metadata" not in content
    assert content["latent_avg"].shape == (18, 4) and "latent_avg" not in content["state_dict"]


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "_orig_mod.module."])
def test_prefixes_of_wrappers_are_gone(tmp_path: Path, prefix: str) -> None:
    wrapped = {prefix + name: value for name, value in _tensors(E4E).items()}
    for content in (wrapped, {"state_dict": wrapped, "latent_avg": torch.ones(2)}):
        found = read_checkpoint(_saved(tmp_path, content))
        assert recognise(found).fits("e4e") and set(found.get("state_dict", found)) == set(E4E)
    official = {"state_dict": {f"module.encoder_q.{name}": torch.ones(1) for name in "ab"}}
    assert set(read_checkpoint(_saved(tmp_path, official))["state_dict"]) == set(official["state_dict"])


@pytest.mark.parametrize("key", ["", "state_dict", "params_ema", "g", "G_ema", "g_ema"])
def test_a_generator_is_found_under_any_key(tmp_path: Path, key: str) -> None:
    content: dict[str, Any] = _tensors(GENERATOR)
    found = read_checkpoint(_saved(tmp_path, {key: content, "iteration": 7} if key else content))
    assert set(found["g_ema"]) == set(GENERATOR) and recognise(found).what == "a StyleGAN2 generator"


def test_inert_scalars_and_odd_options_are_no_obstacle(tmp_path: Path) -> None:
    extra = {"loss": np.float64(0.5), "step": np.int64(3), "best": np.float32(1), "from": Path("/somewhere/x.pt")}
    content = read_checkpoint(_saved(tmp_path, {"state_dict": _tensors(E4E), **extra}))
    assert set(content["state_dict"]) == set(E4E)
    for opts, wanted in ((["--lr", "1"], {}), ("python train.py", {}), (argparse.Namespace(a=1), {"a": 1})):
        assert options_of({"opts": opts}) == wanted


@pytest.mark.parametrize(
    ("head", "says"),
    [(b"<!DOCTYPE html><html>quota", "web page"), (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer")],
)
def test_a_direction_gets_the_same_look_at_its_head(tmp_path: Path, head: bytes, says: str) -> None:
    for name in ("smile.pt", "smile.npy", "smile.safetensors"):
        (tmp_path / name).write_bytes(head)
        with pytest.raises(MissingError, match=says):
            read_tensor(tmp_path / name)
