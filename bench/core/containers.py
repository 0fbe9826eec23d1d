"""What a checkpoint file may be like inside: refused where it would hang or fill the memory, then brought to one form.

Every reader gets the same form, so that a file means the same whoever converted or wrapped it: converters' metadata is
no metadata of ours, prefixes of wrappers are gone, and a generator lies under "g_ema". Ground floor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from bench.core.errors import MissingError
from bench.core.tensor_names import is_generator, known_names

_ADVICE = "save it again as a plain dictionary of tensors, or download it again"
# Far above any checkpoint of this field: a few levels, some ten thousand tensors.
_DEEPEST, _MOST = 24, 500_000
# Times the file that its tensors may claim together, and bytes beyond it: a mean repeated for every row of the codes is
# no attack, and neither are networks that share some of their weights (HyperStyle's, four and a half times).
_SHARED, _UNHELD = 8, 64 << 20
# What wrappers put before every name (DataParallel, torch.compile, Lightning's EMA); some official files have
# "module." in names of their own.
_WRAPPERS = ("module.", "_orig_mod.")
_OFFICIAL = ("module.encoder_q.",)
_GENERATORS = ("g_ema", "params_ema", "G_ema", "g_ema_state_dict", "g", "G", "generator", "ema", "params", "netG")
# Parts of methods, which have a generator of their own beside them.
_NO_GENERATORS = ("encoder.", "decoder.", "hypernet.", "e4e.", "latlayer1.")
# What the metadata of our own files says, one of these at least.
_OURS = {"method", "config", "domain", "generator", "made", "held_out", "components"}
# Levels of wrapping that are looked through, and what is in none of them.
_WRAPPED = 2
_NEVER = ("optim", "scheduler", "discriminator", "opts", "scaler")
# In an e4e or pSp file these lie beside the state dict; a safetensors file has one level only.
_BESIDE = ("latent_avg",)


def check_shape(content: object, where: object, size: int) -> None:
    """Raise MissingError for nested, circular or shared containers and tensors that claim more than they hold.

    `size`: bytes of the file it is from.
    """
    _Walk(where, size).count(content, 0)


class _Walk:
    """Visits each container once, however often it is shared, and counts what reading it along every path would see."""

    def __init__(self, where: object, size: int) -> None:
        self.where, self.size = where, size
        self.counts: dict[int, int] = {}
        self.open: set[int] = set()
        self.claimed = self.held = 0
        self.storages: set[int] = set()

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
        storage = tensor.untyped_storage()
        claimed, held = tensor.numel() * tensor.element_size(), storage.nbytes()
        self.claimed += claimed
        if storage.data_ptr() not in self.storages:
            self.storages.add(storage.data_ptr())
            self.held += held
        most = _SHARED * self.size + _UNHELD
        if claimed > 2 * held + _UNHELD or self.claimed > most or self.held > 2 * self.size + _UNHELD:
            raise self._refusal(f"a tensor of shape {tuple(tensor.shape)} claims {claimed:,} bytes and holds {held:,}")
        return 1

    def _refusal(self, why: str) -> MissingError:
        return MissingError(f"{self.where} is no plain checkpoint: {why}", _ADVICE)


def normalised(content: dict[str, Any]) -> dict[str, Any]:
    """The same checkpoint in the one form that recognition and loading know.

    Where nothing is known in it, what lies below a key, or behind a prefix that all names share, is looked at as well:
    whatever wrapped a known file, it is found.
    """
    content = _plain(content)
    if "metadata" in content or known_names(content):
        return content
    return next((found for found in _unpacked(content, 0) if known_names(found)), content)


def _plain(content: dict[str, Any]) -> dict[str, Any]:
    """Without what converters and wrappers add, and with a generator under its usual key."""
    metadata = content.get("metadata")
    if "metadata" in content and not (isinstance(metadata, Mapping) and _OURS & metadata.keys()):
        # A converter's ({"format": "pt"}), somebody's remarks, or none: an authors' file in another container.
        content = {key: value for key, value in content.items() if key != "metadata"}
    content = {key: _unwrapped(value) if isinstance(value, Mapping) else value for key, value in content.items()}
    content = _unwrapped(content)
    inner = content.get("state_dict")
    if isinstance(inner, Mapping) and "metadata" not in content:
        moved = {name: inner[name] for name in _BESIDE if name in inner and name not in content}
        if moved:
            content = {**content, **moved, "state_dict": {k: v for k, v in inner.items() if k not in moved}}
    return _with_generator(content)


def _unpacked(content: Mapping[str, Any], depth: int) -> Iterator[dict[str, Any]]:
    """What may lie in a wrapper, the nearest first; optimizers and the like never."""
    if depth > _WRAPPED:
        return
    found = [*_below_a_prefix(content), *_below_a_key(content)]
    yield from found
    for inner in found:
        yield from _unpacked(inner, depth + 1)


def _below_a_key(content: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    inner = {key: value for key, value in content.items() if isinstance(value, Mapping) and value}
    rest = {key: value for key, value in content.items() if key not in inner or key == "opts"}
    for key in sorted(inner, key=lambda key: ("ema" not in str(key), str(key))):
        if any(word in str(key).lower() for word in _NEVER):
            continue
        below = inner[key]
        whole = any(isinstance(value, Mapping) for value in below.values())
        yield _plain({**rest, **below} if whole else {**rest, "state_dict": below})


def _below_a_prefix(content: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    named = content.get("state_dict", content)
    if not isinstance(named, Mapping):
        return
    tensors = {str(name): value for name, value in named.items() if isinstance(value, Tensor)}
    prefixes = {name.partition(".")[0] for name in tensors if name not in _BESIDE and "." in name}
    bare = [name for name in tensors if "." not in name and name not in _BESIDE]
    if len(prefixes) != 1 or bare:
        return
    prefix = f"{prefixes.pop()}."
    rest = {key: value for key, value in content.items() if key not in tensors and key != "state_dict"}
    yield _plain({**rest, "state_dict": {name.removeprefix(prefix): value for name, value in tensors.items()}})


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
    """A StyleGAN2 generator of rosinality's names, under whatever key or prefix or none, as "g_ema"."""
    if isinstance(content.get("g_ema"), Mapping) or "metadata" in content:
        return content
    for key in (*_GENERATORS, "state_dict"):
        if isinstance(content.get(key), Mapping) and is_generator(content[key]):
            return {"g_ema": content[key], **{name: value for name, value in content.items() if name != key}}
    tensors = {name: value for name, value in content.items() if isinstance(value, Tensor)}
    others = {name: value for name, value in content.items() if name not in tensors}
    if is_generator(tensors):
        return {"g_ema": tensors, **others}
    inner = content.get("state_dict")
    named = tensors or (dict(inner) if isinstance(inner, Mapping) else {})
    if any(str(name).startswith(_NO_GENERATORS) for name in named):
        return content
    for key in _GENERATORS:
        own = {str(name).removeprefix(f"{key}."): v for name, v in named.items() if str(name).startswith(f"{key}.")}
        if is_generator(own):
            kept = {name: value for name, value in named.items() if name in _BESIDE}
            return {"g_ema": own, **kept, **{name: value for name, value in others.items() if name != "state_dict"}}
    return content
