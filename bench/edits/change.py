"""One call of a method's `edit` for the places of a batch, each with its own edit of the same kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from bench.core.contract import (
    CODE_RULES,
    CameraMethod,
    Direction,
    EditPass,
    Inversion,
    Method,
    StyleMethod,
    TwinInversion,
    TwinMethod,
)


def kind_of(direction: Direction) -> str:
    """What an edit moves: "codes", "style" or "camera". Edits of one kind share a call."""
    return "codes" if direction.rule in CODE_RULES else direction.rule


@dataclass(frozen=True)
class Change:
    """What a call of `edit` changes; nothing for a reconstruction.

    Attributes:
        delta: (N, L, D), added to the codes.
        style_delta: Convolution layer -> (N, C), added to its style.
        degrees: (N, 2), yaw and pitch of the camera against the frontal view.
        shadow_delta: (N, L, D), added to the second codes of a `TwinInversion`.
    """

    delta: Tensor | None = None
    style_delta: Mapping[int, Tensor] | None = None
    degrees: Tensor | None = None
    shadow_delta: Tensor | None = None

    def apply(self, method: Method, inversion: Inversion) -> Tensor:
        """The edited images (N, 3, H, W)."""
        if self.degrees is not None:
            return cast(CameraMethod, method).view(inversion, self.degrees)
        if self.style_delta is not None:
            return cast(StyleMethod, method).edit(inversion, None, self.style_delta)
        if self.shadow_delta is not None:
            return cast(TwinMethod, method).edit(inversion, self.delta, None, self.shadow_delta)
        return method.edit(inversion, self.delta)


def change_of(edits: Mapping[int, EditPass], inversion: Inversion) -> Change:
    """The change of a batch: `edits` by place, all of one kind; other places stay as they are.

    Args:
        inversion: Of the whole batch; an edit that depends on codes sees its own place's alone.
    """
    codes = inversion.codes
    directions = {place: edit.direction for place, edit in edits.items()}
    first = next(iter(directions.values()))
    assert first is not None
    if first.rule == "camera":
        degrees = torch.zeros(len(codes), 2, device=codes.device)
        for place, direction in directions.items():
            assert direction is not None and direction.turn is not None
            degrees[place] = edits[place].strength * torch.tensor(direction.turn)
        return Change(degrees=degrees)
    if first.rule == "style":
        return Change(style_delta=_style_delta(edits, codes))
    shadow = _delta(edits, inversion.shadow) if isinstance(inversion, TwinInversion) else None
    return Change(_delta(edits, codes), shadow_delta=shadow)


def _delta(edits: Mapping[int, EditPass], codes: Tensor) -> Tensor:
    delta = torch.zeros_like(codes)
    for place, edit in edits.items():
        assert edit.direction is not None
        delta[place] = edit.direction.delta(codes[place : place + 1], edit.strength)[0]
    return delta


def _style_delta(edits: Mapping[int, EditPass], codes: Tensor) -> dict[int, Tensor]:
    found: dict[int, Tensor] = {}
    for place, edit in edits.items():
        assert edit.direction is not None and edit.direction.styles is not None
        for layer, offset in edit.direction.styles.items():
            if layer not in found:
                found[layer] = codes.new_zeros(len(codes), len(offset))
            found[layer][place] = edit.strength * offset.to(codes)
    return found
