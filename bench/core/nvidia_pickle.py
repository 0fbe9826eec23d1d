"""NVIDIA's network pickles, read without running anything of theirs (eg3d card, section 2).

Such a file embeds the source of its classes, and the official loader executes it. Here every class becomes a passive
record of what was stored under it: a module's tensors are found by walking `_modules`, `_parameters` and `_buffers`.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.core.errors import MissingError
from bench.core.files import regular_size
from bench.core.pickles import Allowed, look_through
from bench.core.torch_files import read_torch_bytes

_MARK = b"torch_utils.persistence"
_START = 1 << 16
_SETTINGS = ("rendering_kwargs", "neural_rendering_resolution")
_PASSIVE = ("training.", "torch.nn.modules.", "dnnlib.", "torch_utils.")


class _Record:
    """A stored object: nothing but its state."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _EasyDict(dict[str, Any]):
    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.update(state)


def _persistent(meta: Mapping[str, Any]) -> _Record:
    """A module of NVIDIA's: its class name and state; the source in `module_src` is dropped unread."""
    record = _Record()
    record.state = meta.get("state")
    return record


def _scalar(kind: np.dtype, content: bytes) -> Any:
    if kind.hasobject:
        raise pickle.UnpicklingError("a NumPy object")
    return np.frombuffer(content, kind)[0].item()


def _dtype(name: str, *options: Any) -> np.dtype:
    found = np.dtype(name)
    if found.hasobject:
        raise pickle.UnpicklingError("a NumPy object")
    return found


_ALLOWED: dict[tuple[str, str], Any] = {
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): _persistent,
    ("dnnlib.util", "EasyDict"): _EasyDict,
    ("collections", "OrderedDict"): OrderedDict,
    ("builtins", "set"): set,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
    ("torch.storage", "_load_from_bytes"): read_torch_bytes,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy._core.multiarray", "scalar"): _scalar,
    ("numpy", "dtype"): _dtype,
}


_NAMES = Allowed(
    frozenset(f"{module}.{name}" for module, name in _ALLOWED),
    passive=(*_PASSIVE, "torch_utils.persistence._reconstruct_persistent_obj"),
)


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _ALLOWED:
            return _ALLOWED[module, name]
        if f"{module}.".startswith(_PASSIVE):
            return _Record
        raise pickle.UnpicklingError(f"forbidden global {module}.{name}")


def looks_like_one(path: Path) -> bool:
    """Whether a file is a plain pickle of NVIDIA's persistent classes."""
    with path.open("rb") as file:
        start = file.read(_START)
    return start.startswith(b"\x80") and _MARK in start


def read_nvidia_pickle(path: Path) -> dict[str, Any]:
    """{"state_dict": tensors of G_ema by official name, "settings": its plain settings}.

    Settings are `rendering_kwargs` and `neural_rendering_resolution` where the generator has them.

    Raises:
        MissingError: A damaged file, one that asks for anything beyond tensors and plain data, or one without G_ema.
    """
    try:
        with path.open("rb") as file:
            look_through(file, regular_size(path), _NAMES)
            file.seek(0)
            content = _Reader(file).load()
    except Exception as error:  # whatever a hostile or damaged pickle makes of the reader
        said = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise MissingError(
            f"{path} is a pickle that cannot be read as tensors ({said}); nothing of it was run"
        ) from None
    module = content.get("G_ema") if isinstance(content, Mapping) else None
    if not isinstance(module, _Record) or not isinstance(module.state, Mapping):
        raise MissingError(f"{path} has no G_ema: it is no network pickle of NVIDIA's")
    settings = {
        key: module.state[key] for key in ("rendering_kwargs", "neural_rendering_resolution") if key in module.state
    }
    return {"state_dict": dict(_tensors(module, "")), "settings": settings}


def _tensors(module: _Record, prefix: str) -> Iterator[tuple[str, Tensor]]:
    state = module.state if isinstance(module.state, Mapping) else {}
    for kind in ("_parameters", "_buffers"):
        for name, value in (state.get(kind) or {}).items():
            if isinstance(value, Tensor):
                yield prefix + name, value.detach()
    for name, inner in (state.get("_modules") or {}).items():
        if isinstance(inner, _Record):
            yield from _tensors(inner, f"{prefix}{name}.")
