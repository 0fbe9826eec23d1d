"""Errors of a flow field against the true one."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def end_point_error(flow: Tensor, truth: Tensor, visible: Tensor) -> Tensor:
    """Mean distance in pixels between two flow fields over the points visible in both images.

    Args:
        flow, truth: float (N, 2, h, w), displacement (x, y) in pixels of this grid.
        visible: bool (N, h, w).

    Returns:
        float64 (N,) mean error an image, on the CPU; NaN where no point is visible, for the caller to count as
        failed.
    """
    if flow.shape != truth.shape or visible.shape != (flow.shape[0], *flow.shape[2:]):
        raise ValueError(
            f"flow {tuple(flow.shape)}, truth {tuple(truth.shape)} and visible {tuple(visible.shape)} do not fit"
        )
    # On the CPU: not every device has float64.
    flow, truth, visible = flow.cpu().double(), truth.cpu().double(), visible.cpu()
    error = (flow - truth).square().sum(dim=1).sqrt()
    # A flow may be undefined (NaN) where nothing is visible; only visible points count.
    error = torch.where(visible, error, torch.zeros_like(error))
    return error.sum(dim=(1, 2)) / visible.sum(dim=(1, 2))


# A point moves if the true flow is longer than this, in pixels: an edit of the mouth leaves most of a head still.
MOVES = 0.5


def flow_columns(flow: Tensor, truth: Tensor, visible: Tensor) -> list[dict[str, float]]:
    """The columns of a table about flows, one dictionary an image.

    `flow_epe` and `flow_epe_of_zero`: mean end-point error of the flow, and of no flow, over visible points. Over
    those of them that move (`MOVES`), left out where none does: `flow_epe_moving`, and `flow_slope`, the
    least-squares slope of the flow on the true one (1 follows it, 0 stands still, below 0 goes the other way).

    Args:
        flow, truth, visible: As for `end_point_error`.
    """
    length = truth.double().square().sum(1).sqrt()
    moving = visible & (length > MOVES)
    columns = {
        "flow_epe": end_point_error(flow, truth, visible).tolist(),
        "flow_epe_of_zero": end_point_error(torch.zeros_like(truth), truth, visible).tolist(),
    }
    some = {
        "flow_epe_moving": end_point_error(flow, truth, moving).tolist(),
        "flow_slope": _slopes(flow, truth, moving).tolist(),
    }
    found = [{name: values[at] for name, values in columns.items()} for at in range(len(flow))]
    for at in torch.nonzero(moving.flatten(1).any(1)).flatten().tolist():
        found[at] |= {name: values[at] for name, values in some.items()}
    return found


def _slopes(flow: Tensor, truth: Tensor, where: Tensor) -> Tensor:
    """(N,) sum of flow x truth over sum of truth x truth at the points of a mask (N, h, w)."""
    along = torch.where(where, (flow.double() * truth.double()).sum(1), 0.0).sum((1, 2))
    return along / torch.where(where, truth.double().square().sum(1), 0.0).sum((1, 2))


def cells_to_pixels(cells: Tensor, size: tuple[int, int]) -> Tensor:
    """A flow in cells of a coarse grid, (N, 2, h, w), as pixels on the grid `size` = (H, W), bilinearly."""
    scale = cells.new_tensor([size[1] / cells.shape[3], size[0] / cells.shape[2]]).view(1, 2, 1, 1)
    return F.interpolate(cells * scale, size=size, mode="bilinear", align_corners=False)
