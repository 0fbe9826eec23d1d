"""Official tensor names of HyperStyle's file: the shared hypernetwork's aliases, and which layers are tuned."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from bench.core.checkpoint import check_fit
from bench.core.errors import MissingError

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


def check_aliases(tensors: Mapping[str, Tensor], blocks: Iterable[str], like: Mapping[str, Tensor], where: str) -> None:
    """Raise MissingError unless the shared hypernetwork is there whole, and again under every square layer's block.

    Args:
        tensors: As in the file.
        blocks: Offset indices of the square layers' blocks.
        like: The shared hypernetwork's tensors in their shapes, "w1", "b1", "w2", "b2".
    """
    homes = (_SHARED, *(f"hypernet.refinement_blocks.{block}.hypernet." for block in blocks))
    shapes = {home + part: tuple(value.shape) for home in homes for part, value in like.items()}
    given = {name: value for name, value in tensors.items() if name.startswith(_SHARED) or _ALIAS.match(name)}
    check_fit(shapes, given, f"{where}: shared hypernetwork")


def tuned_layers(tensors: Mapping[str, Tensor], options: Mapping[str, Any], where: object) -> tuple[int, ...]:
    """Offset indices of the tuned layers: those the file's options name, else those that it has blocks for.

    Raises MissingError where a to-RGB layer is among them.
    """
    named = [part.strip() for part in str(options.get("layers_to_tune") or "").split(",")]
    if all(part.isdigit() for part in named):
        # Not from the blocks: one that is missing as a whole would go unnoticed.
        indices = sorted({int(part) for part in named})
    else:
        indices = sorted({int(found[1]) for name in tensors if (found := _BLOCK.match(name))})
    if strange := [index for index in indices if index % 3 == 1]:
        raise MissingError(
            f"{where} tunes to-RGB layers (offset {strange[0]}), which no released HyperStyle does",
            "use a checkpoint trained with the released layers_to_tune",
        )
    return tuple(indices)
