"""Official names of StyleTransformer's checkpoint and ours (style_transformer card, section 2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

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


def official_names(tensors: Mapping[str, Tensor]) -> Callable[[str], str]:
    """How a file that holds `tensors` calls ours, for messages: "encoder.tokens.z" -> "encoder.module.z".

    A file without a wrapper has none in its names, and our own files keep ours.
    """
    wrapper = _WRAPPER if any(name.startswith(f"encoder.{_WRAPPER}") for name in tensors) else ""
    ours = any(name.startswith("encoder.tokens.") for name in tensors)

    def official(name: str) -> str:
        part, _, rest = name.partition(".")
        for theirs, here in () if ours else _OURS.items():
            if rest == here or rest.startswith(f"{here}."):
                rest = theirs + rest.removeprefix(here)
        return f"{part}.{wrapper}{rest}"

    return official
