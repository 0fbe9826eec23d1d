"""Reading checkpoints: weights only, no code of the file ever runs, and a bad file is named for what it is.

Authors' files are `torch.save` dictionaries of many layouts and come back as they are; ours are safetensors whose
metadata carries the configuration. Ground floor: imports nothing above it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from bench.core.containers import check_shape, normalised
from bench.core.errors import MissingError
from bench.core.files import regular_size, replacing
from bench.core.nvidia_pickle import looks_like_one, read_nvidia_pickle
from bench.core.torch_files import FETCH, is_safetensors, read_safetensors, read_torch

_SYSTEM_ERROR = re.compile(r"\(os error (\d+)\)")
# How a web page may begin, after white space and byte order marks.
_PAGES = (b"<!doctype", b"<!--", b"<html", b"<head", b"<body", b"<title", b"<meta", b"<script", b"<?xml")


def read_checkpoint(path: str | Path, *, values: bool = True) -> dict[str, Any]:
    """Content of a checkpoint file, tensors on the CPU; without `values` on the meta device: names and shapes alone.

    Authors' files: the dictionary as saved, in one form (`bench.core.containers`); of NVIDIA's network pickles the
    tensors of G_ema. Ours (safetensors): {"state_dict": tensors by name, "metadata": values by key, parsed from JSON}.
    Tensors may be memory-mapped: copy what you keep (`load_strict` does).

    Raises:
        MissingError: No such file, empty, a web page, truncated, asks for code, not a checkpoint, or NaN in a tensor
            (named).
    """
    path = Path(path)
    head = head_of(path)
    content = _read_any(path, head)
    if not isinstance(content, dict):
        raise MissingError(f"{path} holds a {type(content).__name__}, not a dictionary of tensors", FETCH)
    check_shape(content, path, path.stat().st_size)
    content = normalised(content)
    if not values:
        return {key: _without_values(value) for key, value in content.items()}
    check_finite(content, path.name)
    return content


def _without_values(value: Any) -> Any:
    """Tensors of a mapped file are read where they are touched; their shapes cost nothing."""
    if isinstance(value, Tensor):
        return value.detach().to("meta")
    if isinstance(value, Mapping):
        return {key: _without_values(item) for key, item in value.items()}
    return [_without_values(item) for item in value] if isinstance(value, list | tuple) else value


def _read_any(path: Path, head: bytes) -> Any:
    if is_safetensors(path, head):
        return read_safetensors(path)
    return read_nvidia_pickle(path) if looks_like_one(path) else read_torch(path, head)


def write_safetensors(path: str | Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> None:
    """Write one of our checkpoints atomically; metadata values are stored as JSON."""
    save_tensors(Path(path), tensors, {key: json.dumps(value, sort_keys=True) for key, value in metadata.items()})


def save_tensors(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, str] | None = None) -> None:
    """Write tensors as safetensors, whole or not at all. Raises MissingError as `replacing`."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with replacing(path) as part:
        try:
            save_file(plain, part, None if facts is None else dict(facts))
        except SafetensorError as error:
            # Of a full disk it says so in words alone.
            if not (number := _SYSTEM_ERROR.search(str(error))):
                raise
            raise OSError(int(number[1]), os.strerror(int(number[1]))) from None


def file_digest(path: str | Path) -> str:
    """Hex SHA-256 of a file's bytes; remembered while size and modification time stay."""
    status = Path(path).stat()
    return _digest(str(Path(path).resolve()), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _digest(path: str, size: int, modified: int) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def state_dict_of(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """The named tensors of a checkpoint: under "state_dict" if there is one, else at the top level."""
    inner = content.get("state_dict", content)
    return {name: value for name, value in inner.items() if isinstance(value, Tensor)}


def take(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors below `prefix` ("encoder."), without it."""
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}


def refuse_strangers(tensors: Mapping[str, Tensor], prefixes: tuple[str, ...], where: object) -> None:
    """Raise MissingError naming the tensors that belong to no part of the method; the parts are loaded strictly."""
    if strangers := [name for name in tensors if not name.startswith(prefixes)]:
        raise MissingError(
            f"{where} does not fit: unexpected {_some(strangers)}", "check that this is the right file (weights ls)"
        )


def load_strict(
    module: nn.Module, tensors: Mapping[str, Tensor], what: str, official: Callable[[str], str] = str
) -> None:
    """Load `tensors` into `module` (on the meta device too), copying; every name must be there and none more.

    `num_batches_tracked` counters may be missing (files older than the counter) and are never needed.

    Args:
        official: The name in the file of one of the module's names, for messages; the same by default.

    Raises:
        MissingError: Names the missing and unexpected tensors and wrong shapes of `what`.
    """
    own = module.state_dict()
    check_fit({name: value.shape for name, value in own.items()}, tensors, what, official)
    if not any(value.is_meta for value in own.values()):
        # In place: an optimizer keeps its parameters, a module its device.
        module.load_state_dict({name: tensors.get(name, value) for name, value in own.items()})
        return
    copies = {
        name: tensors[name].detach().to(value.dtype, copy=True).contiguous()
        if name in tensors
        else torch.zeros(value.shape, dtype=value.dtype)
        for name, value in own.items()
    }
    module.load_state_dict(copies, strict=True, assign=True)


def load_part(
    module: nn.Module,
    tensors: Mapping[str, Tensor],
    prefix: str,
    where: object,
    official: Callable[[str], str] = str,
) -> None:
    """`load_strict` of the tensors below `prefix` ("encoder."); messages name them with it, as the file does.

    `official` takes a name with the prefix to the file's.
    """
    part = prefix.removesuffix(".")
    load_strict(module, take(tensors, prefix), f"{where}: {part}", lambda name: official(prefix + name))


def check_fit(
    shapes: Mapping[str, Sequence[int]],
    tensors: Mapping[str, Tensor],
    what: str,
    official: Callable[[str], str] = str,
) -> None:
    """Raise MissingError unless `tensors` have exactly these names and shapes; see `load_strict`."""

    def listed(names: Iterable[str]) -> str:
        return _some([official(name) for name in names if not name.endswith("num_batches_tracked")])

    problems = []
    if missing := listed(name for name in shapes if name not in tensors):
        problems.append(f"missing {missing}")
    if unexpected := listed(name for name in tensors if name not in shapes):
        problems.append(f"unexpected {unexpected}")
    for name, shape in shapes.items():
        if name in tensors and tuple(tensors[name].shape) != tuple(shape):
            problems.append(f"{official(name)} has shape {tuple(tensors[name].shape)}, expected {tuple(shape)}")
    if problems:
        raise MissingError(
            f"{what} does not fit: {'; '.join(problems[:4])}", "check that this is the right file (weights ls)"
        )


def check_finite(content: Mapping[str, Any], where: str) -> None:
    """Raise MissingError naming the first tensor that holds NaN or infinity; optimizer states are not looked at."""
    for name, tensor in _tensors(content):
        # A sum is one pass without a mask in memory; only a suspicious one is looked at again.
        if tensor.is_floating_point() and tensor.numel() and not math.isfinite(_sum(tensor)):
            tensor = tensor.detach().float()
            if torch.isnan(tensor).any():
                raise MissingError(
                    f"tensor {name!r} of {where} holds NaN: the file is damaged or a diverged training", FETCH
                )
            if torch.isinf(tensor).any():
                raise MissingError(f"tensor {name!r} of {where} holds infinity: the file is damaged", FETCH)


def _sum(tensor: Tensor) -> float:
    for dim, stride in enumerate(tensor.stride()):
        # A value that stands for many is looked at once.
        tensor = tensor.narrow(dim, 0, 1) if stride == 0 else tensor
    # The short floating-point types have no sum of their own.
    return float((tensor.detach() if tensor.element_size() > 1 else tensor.detach().float()).sum())


def _tensors(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    for key, value in content.items():
        if isinstance(value, Tensor):
            yield f"{prefix}{key}", value
        elif isinstance(value, Mapping) and "optimizer" not in str(key):
            yield from _tensors(value, "" if key == "state_dict" else f"{prefix}{key}.")


def _some(names: list[str], count: int = 3) -> str:
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more


def head_of(path: Path) -> bytes:
    """The first bytes of a downloaded file of any kind.

    Raises MissingError where they show that it is none: absent, empty, no regular file, a web page, a Git LFS pointer.
    """
    if not path.exists():
        raise MissingError(f"no checkpoint at {path}", FETCH)
    if path.is_dir():
        raise MissingError(f"{path} is a folder, not a checkpoint file", "name the file in it")
    if not path.is_file():
        raise MissingError(f"{path} is no regular file but a pipe, a socket or a device", "give a checkpoint file")
    try:
        regular_size(path)
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise MissingError(f"{path} cannot be read: {error.strerror}", "check its permissions") from None
    if not head:
        raise MissingError(f"{path} is empty (0 bytes): the download did not start or was cut off", FETCH)
    # Without zero bytes a UTF-16 page reads like any other.
    text = head.lstrip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n\v\f").replace(b"\0", b"").lower()
    if text.startswith(_PAGES):
        raise MissingError(
            f"{path} is a web page (HTML), not a checkpoint: the server answered with its download or quota page",
            FETCH,
        )
    if head.startswith(b"version https://git-lfs"):
        raise MissingError(
            f"{path} is a Git LFS pointer, not the file itself", "git lfs pull, or download the file itself"
        )
    return head
