"""Small files of tensors (directions): .pt, .npy and .safetensors, read without running anything."""

from __future__ import annotations

import math
from pathlib import Path
from typing import IO

import numpy as np
import torch

from bench.core.checkpoint import head_of
from bench.core.containers import check_shape
from bench.core.errors import MissingError
from bench.core.files import regular_size
from bench.core.torch_files import is_safetensors, read_safetensors, read_torch

# A whole file of StyleCLIP's statistics has some megabytes, a PCA of a generator a hundred.
MOST_BYTES = 2 << 30
_NPY = b"\x93NUMPY"
_ADVICE = "save the direction's tensor alone, as .pt, .npy or .safetensors"


def read_tensors(path: Path) -> object:
    """What such a file holds: a tensor, or a dictionary of tensors. Weights-only; arrays without pickle.

    Raises:
        MissingError: No such file, damaged, too large, or one that asks for code to be run.
    """
    head = head_of(path)
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise MissingError(f"{path}: {size / 1e9:.1f} GB, more than a direction file may have", _ADVICE)
    content = _read(path, head)
    check_shape(content, path, size)
    return content


def _read(path: Path, head: bytes) -> object:
    if head.startswith(_NPY) or path.suffix.lower() == ".npy":
        return read_array(path)
    try:
        return read_safetensors(path)["state_dict"] if is_safetensors(path, head) else read_torch(path, head)
    except MissingError as error:
        raise MissingError(error.what, _ADVICE) from None


def read_array(path: Path) -> torch.Tensor:
    """The array of numbers in an .npy file, in this machine's byte order. Raises MissingError: it is damaged."""
    try:
        return torch.from_numpy(_array(path))
    except Exception as error:  # NumPy's reader has no class of errors of its own
        raise MissingError(f"{path}: cannot be read as an array of numbers ({_first_line(error)})", _ADVICE) from None


def _array(path: Path) -> np.ndarray:
    """The array of an .npy file, in this machine's byte order; never more than the file holds."""
    size = regular_size(path)
    with path.open("rb") as file:
        shape, dtype = _header(file)
        if dtype.hasobject:
            raise ValueError("an array of objects, which only a pickle can make")
        if math.prod(shape) * dtype.itemsize > size - file.tell():
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
