"""Sample grids of a training: what the figures measure, to look at."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from methods.training.edit_figures import EditFigures, Invert, full_size
from methods.training.grids import grid

PEOPLE = 8
FULL_COLOUR = 4.0  # pixels of flow that show at full saturation


def flow_colours(flow: Tensor) -> Tensor:
    """A flow (N, 2, h, w) in pixels as images (N, 3, h, w) in [-1, 1]: hue by direction, white where still."""
    length = (flow.square().sum(1).sqrt() / FULL_COLOUR).clamp(0, 1)
    angle = torch.atan2(flow[:, 1], flow[:, 0])
    hues = [0.5 + 0.5 * torch.cos(angle - shift) for shift in (0.0, 2 * math.pi / 3, 4 * math.pi / 3)]
    colour = torch.stack([1 - length * (1 - hue) for hue in hues], 1)
    return colour * 2 - 1


@torch.no_grad()
def edit_grid(figures: EditFigures, invert: Invert, flow_of: Callable[[Tensor, Tensor], Tensor] | None) -> Tensor:
    """One column a person: input, reconstruction, then for pose+, pose- and a smile the edit, its truth, and its flow
    where there is one.

    Half of the people get a smile, half lose it.
    """
    images = figures.images[:PEOPLE]
    render = invert(images)
    rows = [images, render(None)]
    smiles = dict[int, tuple[Tensor, ...]]()
    for edit in figures.edits:
        made = render(edit.delta)
        flows = [] if flow_of is None else [flow_colours(full_size(flow_of(images, edit.delta)))]
        if edit.attribute == "yaw":
            rows += [made, edit.truth[:PEOPLE], *flows]
            continue
        for place, row in enumerate(edit.rows.tolist()):
            if row < PEOPLE:
                smiles[row] = (made[row], edit.truth[place], *(flow[row] for flow in flows))
    rows += [torch.stack(parts) for parts in zip(*(smiles[row] for row in range(len(images))), strict=True)]
    return grid(*rows)
