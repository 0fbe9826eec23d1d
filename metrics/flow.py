"""End-point error of a flow field against the true one."""

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


def cells_to_pixels(cells: Tensor, size: tuple[int, int]) -> Tensor:
    """A flow in cells of a coarse grid, (N, 2, h, w), as pixels on the grid `size` = (H, W), bilinearly."""
    scale = cells.new_tensor([size[1] / cells.shape[3], size[0] / cells.shape[2]]).view(1, 2, 1, 1)
    return F.interpolate(cells * scale, size=size, mode="bilinear", align_corners=False)
