"""Direction files: tensors out of .pt, .npy and .safetensors without running anything, spread to one row a layer."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from bench.core.errors import MissingError
from bench.core.small_files import read_tensors

SHAPES = "[D], [1, D], [L, D], [1, L, D] or [1, L*D]"


def read_tensor(path: Path, key: str = "") -> Tensor:
    """One float32 tensor of a file; `key` names it in a file of several.

    Raises MissingError: no such file, a damaged one, one that asks for code to be run, no such key, values that are
        not finite.
    """
    content = read_file(path)
    if isinstance(content, dict):
        if not key:
            raise MissingError(f"{path}: holds {', '.join(sorted(map(str, content)))}; the card names no key")
        if key not in content:
            raise MissingError(f"{path}: has no tensor {key!r}, only {', '.join(sorted(map(str, content)))}")
        content = content[key]
    return _finite(content, path, key)


def read_file(path: Path) -> object:
    """What a direction file holds: a tensor, or a dictionary of tensors. Weights-only; arrays without pickle."""
    if not path.exists():
        raise MissingError(f"{path}: no such direction file")
    return read_tensors(path)


def spread(vector: Tensor, latent_rows: int, dim: int, path: Path, *, cut: bool = False) -> Tensor:
    """A direction as (L, D), from the shapes [D], [1, D], [L, D], [1, L, D] and [1, L*D].

    Args:
        vector: float32, any of those shapes.
        latent_rows: L of the generator.
        dim: D, or 0 to take it from the vector.
        path: For the message.
        cut: A direction of more rows than L is cut to L where its rows are all equal (18 to 16 rows for cars).

    Raises MissingError for another shape or another number of rows.
    """
    shape = list(vector.shape)
    rows = vector[0] if vector.dim() == 3 and shape[0] == 1 else vector
    if rows.dim() == 1:
        rows = rows[None]
    if rows.dim() != 2:
        raise MissingError(f"{path}: a direction of shape {shape}; accepted are {SHAPES}")
    width = rows.shape[1]
    if dim and width != dim and rows.shape[0] == 1 and width % dim == 0:
        rows = rows.reshape(-1, dim)
    elif dim and width != dim:
        raise MissingError(f"{path}: a direction of shape {shape} for codes of width {dim}; accepted are {SHAPES}")
    if rows.shape[0] == 1:
        return rows.expand(latent_rows, -1).clone()
    if cut and rows.shape[0] > latent_rows and bool((rows == rows[:1]).all()):
        rows = rows[:latent_rows]
    if rows.shape[0] != latent_rows:
        wide = f", {dim} wide" if dim else ""
        raise MissingError(
            f"{path}: a direction of shape {shape}, {rows.shape[0]} rows{wide}; the generator's codes have "
            f"{latent_rows}{wide}; accepted are {SHAPES}"
        )
    return rows.clone()


def _finite(value: object, path: Path, key: str) -> Tensor:
    if not isinstance(value, Tensor):
        raise MissingError(f"{path}: {key or 'the file'} is a {type(value).__name__}, not a tensor")
    tensor = value.detach().to(torch.float32)
    bad = int((~torch.isfinite(tensor)).sum())
    if bad:
        raise MissingError(f"{path}: {bad} of {tensor.numel()} values are NaN or infinite")
    return tensor
