"""Reference values and reproducible inputs of the metric tests; the rules are those of the data files' description.

`F(name, shape, rule)` fills a tensor by name, `u8` turns [-1, 1] into bytes, `write_networks` writes auxiliary
networks with filled weights, laid out as their owners' files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.core.errors import MissingError
from tests.filling import fill, golden_image

DATA = Path(__file__).parent / "data"


@cache
def reference(name: str) -> Any:
    """Content of a JSON file of reference values."""
    return json.loads((DATA / f"{name}.json").read_text())


@cache
def arrays(name: str) -> Mapping[str, np.ndarray]:
    """Content of an NPZ file of reference values."""
    with np.load(DATA / f"{name}.npz") as file:
        return {key: file[key] for key in file}


def u8(x: np.ndarray) -> np.ndarray:
    """[-1, 1] to bytes, halves up, in float64."""
    return np.clip(np.floor((np.asarray(x, np.float64) + 1) * 127.5 + 0.5), 0, 255).astype(np.uint8)


def images_u8(seed: int, count: int, size: int) -> list[np.ndarray]:
    """Golden images as uint8 (size, size, 3)."""
    return [u8(image).transpose(1, 2, 0).copy() for image in golden_image(seed, count, size).numpy()]


def filled(manifest: Mapping[str, Any], prefix: str) -> dict[str, torch.Tensor]:
    """Tensors of {name: {"shape", "dtype", "fill"}}, filled under `prefix` + name."""
    return {
        name: torch.from_numpy(np.array(fill(prefix + name, tuple(spec["shape"]), spec["fill"], 0, spec["dtype"])))
        for name, spec in manifest.items()
    }


def inception_tensors() -> dict[str, torch.Tensor]:
    manifest = reference("inception.manifest")
    return filled(manifest["tensors"], manifest["fill_name_prefix"])


def curricularface_tensors() -> dict[str, torch.Tensor]:
    manifest = reference("ir101.manifest")
    return filled(manifest["tensors"], manifest["fill_name_prefix"])


def lpips_tensors(net: str) -> dict[str, torch.Tensor]:
    """Backbone ("features.N.weight") and linear layers ("linK.model.1.weight")."""
    return filled(reference("lpips")["nets"][net]["manifest"], f"lpips.{net}.")


def mtcnn_tensors(net: str) -> dict[str, np.ndarray]:
    manifest = reference("mtcnn.manifest")
    return {name: value.numpy() for name, value in filled(manifest["nets"][net]["tensors"], f"mtcnn.{net}.").items()}


def _backbone(net: str) -> dict[str, torch.Tensor]:
    return {name: value for name, value in lpips_tensors(net).items() if name.startswith("features.")}


def write_networks(folder: Path) -> Callable[[str], Path]:
    """A `weights` function that writes a filled network on first request; insightface's pack is missing."""
    writers: Mapping[str, tuple[str, Callable[[], dict[str, torch.Tensor]]]] = {
        "inception-imagenet": ("inception_v3_google.pth", inception_tensors),
        "inception-fid": ("weights-inception.pth", inception_tensors),
        "alexnet-imagenet": ("alexnet.pth", lambda: _backbone("alex")),
        "vgg16-imagenet": ("vgg16.pth", lambda: _backbone("vgg")),
        "curricularface": ("CurricularFace_Backbone.pth", curricularface_tensors),
    }

    def weights(name: str) -> Path:
        if name == "mtcnn":
            return _write_mtcnn(folder / "mtcnn")
        if name not in writers:
            raise MissingError(f"{name} is not on this machine", f"run_bench.py weights fetch {name}")
        file, make = writers[name]
        if not (folder / file).exists():
            torch.save(make(), folder / file)
        return folder / file

    return weights


def _write_mtcnn(folder: Path) -> Path:
    if not folder.exists():
        folder.mkdir()
        for net in ("pnet", "rnet", "onet"):
            np.save(folder / f"{net}.npy", np.array(mtcnn_tensors(net), dtype=object), allow_pickle=True)
    return folder
