"""Small files of tensors (directions): .pt, .npy and .safetensors, read without running anything."""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import IO

import numpy as np
import torch

from bench.core.archives import directory_size
from bench.core.checkpoint import head_of, safe_globals
from bench.core.containers import check_shape
from bench.core.errors import MissingError

# A whole file of StyleCLIP's statistics has some megabytes, a PCA of a generator a hundred.
MOST_BYTES = 2 << 30
_NPY = b"\x93NUMPY"


def read_tensors(path: Path) -> object:
    """What such a file holds: a tensor, or a dictionary of tensors. Weights-only; arrays without pickle.

    Raises:
        MissingError: No such file, damaged, too large, or one that asks for code to be run.
    """
    head = head_of(path)
    if path.stat().st_size > MOST_BYTES:
        raise MissingError(f"{path}: {path.stat().st_size / 1e9:.1f} GB, more than a direction file may have")
    content = _read(path, head)
    check_shape(content, path)
    return content


def _read(path: Path, head: bytes) -> object:
    try:
        if head.startswith(_NPY):
            return torch.from_numpy(_array(path))
        if path.suffix.lower() == ".npy":
            raise ValueError("no array of NumPy's")
        if path.suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        if head.startswith(b"PK") and directory_size(path) > 1 << 20:
            raise ValueError("an archive of more members than tensors have")
        with safe_globals():
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise MissingError(
            f"{path}: holds more than tensors and was not loaded; nothing of it was run",
            "save the direction's tensor alone, as .pt, .npy or .safetensors",
        ) from error
    except Exception as error:
        raise MissingError(f"{path}: cannot be read as a direction file ({_first_line(error)})") from error


def _array(path: Path) -> np.ndarray:
    """The array of an .npy file, in this machine's byte order; never more than the file holds."""
    with path.open("rb") as file:
        shape, dtype = _header(file)
        if dtype.hasobject:
            raise ValueError("an array of objects, which only a pickle can make")
        if math.prod(shape) * dtype.itemsize > path.stat().st_size - file.tell():
            raise ValueError(f"it promises an array of shape {list(shape)} and holds less")
    found = np.load(path, allow_pickle=False)
    return np.ascontiguousarray(found.astype(found.dtype.newbyteorder("="), copy=False))


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:160]
