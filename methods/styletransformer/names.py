"""Official names of StyleTransformer's checkpoint and ours (style_transformer card, section 2)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

# The authors saved both parts from inside a DataParallel wrapper; our own files have none.
_WRAPPER = "module."
_OURS = {
    "z": "tokens.z",
    "transformerlayer_coarse": "tokens.coarse",
    "transformerlayer_medium": "tokens.medium",
    "transformerlayer_fine": "tokens.fine",
}


def unwrapped(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors without the wrapper's part of their names: "module.z" -> "z"."""
    return {name.removeprefix(_WRAPPER): value for name, value in tensors.items()}


def encoder_names(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The encoder's tensors (after "encoder.") under our names: "module.transformerlayer_fine.x" -> "tokens.fine.x"."""
    renamed = {}
    for name, value in unwrapped(tensors).items():
        head, dot, rest = name.partition(".")
        renamed[_OURS.get(head, head) + dot + rest] = value
    return renamed
