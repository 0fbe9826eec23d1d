"""Tensor names of the released flow files ("flow" card, section 7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor

from methods.nets.flow.glunet import FlowKind


def flow_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A released state dict named as in `FlowNet`: pyramid.* stays, all else belongs to the head.

    A `module.` prefix (parallel training) is taken off.
    """
    plain = {name.removeprefix("module."): value for name, value in tensors.items()}
    return {name if name.startswith("pyramid.") else f"head.{name}": value for name, value in plain.items()}


def flow_kind(tensors: Mapping[str, Tensor]) -> FlowKind:
    """Which of the released networks a state dict belongs to."""
    semantic = any(name.removeprefix("module.").startswith("NeighConsensus.") for name in tensors)
    return "warpc_semantic_glunet" if semantic else "warpc_glunet"


def official_names(tensors: Mapping[str, Tensor]) -> Callable[[str], str]:
    """How a file that holds `tensors` calls those of `FlowNet`, for messages: "head.decoder4.x" -> "decoder4.x"."""
    prefix = "module." if any(name.startswith("module.") for name in tensors) else ""
    return lambda name: prefix + name.removeprefix("head.")
