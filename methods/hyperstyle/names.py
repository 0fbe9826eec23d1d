"""Official tensor names of HyperStyle's file: the shared hypernetwork's aliases, and which layers are tuned."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from bench.errors import MissingError

_SHARED = "hypernet.shared_weight_hypernet."
_ALIAS = re.compile(r"hypernet\.refinement_blocks\.(\d+)\.hypernet\.(\w+)$")
_BLOCK = re.compile(r"hypernet\.refinement_blocks\.(\d+)\.")


def shared_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors with one name each: a block's copy of the shared hypernetwork stands for it, the last wins."""
    plain = {name: value for name, value in tensors.items() if not _ALIAS.match(name)}
    aliases = sorted((int(found[1]), found[2], name) for name in tensors if (found := _ALIAS.match(name)))
    for _, part, name in aliases:
        plain[_SHARED + part] = tensors[name]
    return plain


def tuned_layers(tensors: Mapping[str, Tensor], where: object) -> tuple[int, ...]:
    """Offset indices that the file has blocks for. Raises MissingError where a to-RGB layer is among them."""
    indices = sorted({int(found[1]) for name in tensors if (found := _BLOCK.match(name))})
    if strange := [index for index in indices if index % 3 == 1]:
        raise MissingError(
            f"{where} tunes to-RGB layers (offset {strange[0]}), which no released HyperStyle does",
            "use a checkpoint trained with the released layers_to_tune",
        )
    return tuple(indices)
