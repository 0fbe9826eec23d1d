"""What a checkpoint file may be like inside: refused where it would hang or fill the memory, then brought to one form.

Every reader gets the same form, so that a file means the same whoever converted or wrapped it: converters' metadata is
no metadata of ours, prefixes of wrappers are gone, and a generator lies under "g_ema". Ground floor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from bench.core.errors import MissingError

_ADVICE = "save it again as a plain dictionary of tensors, or download it again"
# Far above any checkpoint of this field: a few levels, some ten thousand tensors.
_DEEPEST, _MOST = 24, 500_000
# Bytes that one tensor may claim beyond what it holds: a mean repeated for every row of the codes is no attack.
_UNHELD = 1 << 30
# What wrappers put before every name (DataParallel, torch.compile, Lightning's EMA); some official files have
# "module." in names of their own.
_WRAPPERS = ("module.", "_orig_mod.")
_OFFICIAL = ("module.encoder_q.",)
_GENERATORS = ("params_ema", "G_ema", "g", "G", "generator", "ema")
_GENERATOR_NAMES = ("style.", "convs.", "to_rgb1.")
# In an e4e or pSp file these lie beside the state dict; a safetensors file has one level only.
_BESIDE = ("latent_avg",)


def check_shape(content: object, where: object) -> None:
    """Raise MissingError for nested, circular or shared containers and tensors that claim more than they hold."""
    _Walk(where).count(content, 0)


class _Walk:
    """Visits each container once, however often it is shared, and counts what reading it along every path would see."""

    def __init__(self, where: object) -> None:
        self.where = where
        self.counts: dict[int, int] = {}
        self.open: set[int] = set()
        self.unheld = 0

    def count(self, value: object, depth: int) -> int:
        """Values below this one along every path."""
        if isinstance(value, Tensor):
            return self._tensor(value)
        if not isinstance(value, Mapping | list | tuple | set | frozenset):
            return 1
        if id(value) in self.open:
            raise self._refusal("a container in it holds itself")
        if depth > _DEEPEST:
            raise self._refusal(f"it nests more than {_DEEPEST} levels deep")
        if id(value) not in self.counts:
            self.open.add(id(value))
            inner = value.values() if isinstance(value, Mapping) else value
            self.counts[id(value)] = 1 + sum(self.count(item, depth + 1) for item in inner)
            self.open.remove(id(value))
        if self.counts[id(value)] > _MOST:
            raise self._refusal(f"it has more than {_MOST:,} values")
        return self.counts[id(value)]

    def _tensor(self, tensor: Tensor) -> int:
        if tensor.is_meta or tensor.layout != torch.strided or tensor.is_quantized:
            raise self._refusal("a tensor in it has no values of its own, or is sparse or quantized")
        claimed, held = tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes()
        self.unheld += max(0, claimed - held)
        if claimed - held > _UNHELD or self.unheld > 64 * _UNHELD:
            raise self._refusal(f"a tensor of shape {tuple(tensor.shape)} claims {claimed:,} bytes and holds {held:,}")
        return 1

    def _refusal(self, why: str) -> MissingError:
        return MissingError(f"{self.where} is no plain checkpoint: {why}", _ADVICE)


def normalised(content: dict[str, Any]) -> dict[str, Any]:
    """The same checkpoint in the one form that recognition and loading know."""
    metadata = content.get("metadata")
    if isinstance(metadata, Mapping) and {*metadata} <= {"format"}:
        # A converter's ({"format": "pt"}) or none: an authors' file in another container.
        content = {key: value for key, value in content.items() if key != "metadata"}
    content = {key: _unwrapped(value) if isinstance(value, Mapping) else value for key, value in content.items()}
    content = _unwrapped(content)
    inner = content.get("state_dict")
    if isinstance(inner, Mapping) and "metadata" not in content:
        moved = {name: inner[name] for name in _BESIDE if name in inner and name not in content}
        if moved:
            content = {**content, **moved, "state_dict": {k: v for k, v in inner.items() if k not in moved}}
    return _with_generator(content)


def _unwrapped(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Without the prefixes that wrappers put before every tensor's name."""
    found = dict(tensors)
    while names := [str(name) for name, value in found.items() if isinstance(value, Tensor)]:
        prefix = next((own for own in _WRAPPERS if all(name.startswith(own) for name in names)), None)
        if prefix is None or any(name.startswith(_OFFICIAL) for name in names):
            break
        found = {str(name).removeprefix(prefix): value for name, value in found.items()}
    return found


def _with_generator(content: dict[str, Any]) -> dict[str, Any]:
    """A StyleGAN2 generator of rosinality's names, under whatever key or none, as "g_ema"."""
    if "g_ema" in content or "metadata" in content:
        return content
    for key in (*_GENERATORS, "state_dict"):
        if isinstance(content.get(key), Mapping) and _is_generator(list(content[key])):
            return {"g_ema": content[key], **{name: value for name, value in content.items() if name != key}}
    tensors = {name: value for name, value in content.items() if isinstance(value, Tensor)}
    if _is_generator(list(tensors)):
        return {"g_ema": tensors, **{name: value for name, value in content.items() if name not in tensors}}
    return content


def _is_generator(names: Sequence[Any]) -> bool:
    return all(any(str(name).startswith(start) for name in names) for start in _GENERATOR_NAMES)
