"""Writing a network pickle as NVIDIA's code does, without that code: modules as one persistent reduce call each."""

from __future__ import annotations

import pickle
import sys
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch


def _reconstruct_persistent_obj(meta: dict[str, Any]) -> None:
    raise AssertionError("the reader ran the official loader")


class _Persistent:
    """A module that pickles as NVIDIA's persistence decorator makes it."""

    def __init__(self, name: str, state: dict[str, Any]) -> None:
        self._name, self._state = name, state

    def __reduce__(self) -> tuple[Any, tuple[dict[str, Any]]]:
        meta = {
            "type": "class",
            "version": 6,
            "module_src": "raise SystemExit('the source of the file was executed')",
            "class_name": self._name,
            "state": self._state,
        }
        return _reconstruct_persistent_obj, (meta,)


class OSGDecoder:
    """A module without the decorator: an ordinary class reference with a state."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)


@dataclass(frozen=True)
class NetworkPickle:
    """G_ema's tensors by official name, and the manifest that has its settings."""

    tensors: Mapping[str, torch.Tensor]
    manifest: Mapping[str, Any]

    def write(self, path: Path) -> None:
        tree: dict[str, Any] = {}
        for name, value in self.tensors.items():
            node = tree
            *parents, leaf = name.split(".")
            for parent in parents:
                node = node.setdefault(parent, {})
            node[leaf] = value
        state = self._state(tree)
        for key in ("rendering_kwargs", "neural_rendering_resolution"):
            state[key] = self.manifest[key]
        whole = {"training_set_kwargs": {}, "augment_pipe": None, "G_ema": _Persistent("TriPlaneGenerator", state)}
        with _official_modules(), path.open("wb") as file:
            pickle.dump(whole, file)

    def _state(self, tree: dict[str, Any]) -> dict[str, Any]:
        modules, parameters, buffers = OrderedDict(), OrderedDict(), OrderedDict()
        for name, value in tree.items():
            if isinstance(value, dict):
                inner = self._state(value)
                modules[name] = OSGDecoder(inner) if name == "decoder" else _Persistent(name, inner)
            elif name in ("noise_const", "resample_filter", "w_avg"):
                buffers[name] = value
            else:
                parameters[name] = torch.nn.Parameter(value)
        return {"training": False, "_modules": modules, "_parameters": parameters, "_buffers": buffers}


_PLACES: dict[str, dict[str, Any]] = {
    "torch_utils": {},
    "torch_utils.persistence": {"_reconstruct_persistent_obj": _reconstruct_persistent_obj},
    "training": {},
    "training.triplane": {"OSGDecoder": OSGDecoder},
}


@contextmanager
def _official_modules() -> Iterator[None]:
    """Let pickle find our stand-ins under the official names while it writes."""
    for module, members in _PLACES.items():
        sys.modules[module] = ModuleType(module)
        for name, member in members.items():
            setattr(sys.modules[module], name, member)
            member.__module__ = module
    try:
        yield
    finally:
        for module in _PLACES:
            del sys.modules[module]
