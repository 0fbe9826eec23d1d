"""Distances to the true edit and end-point error of flows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from metrics.flow import cells_to_pixels, end_point_error
from metrics.truth import distance_to_truth
from tests.unit.metrics.reference import images_u8


def test_distance_to_truth() -> None:
    truth, other = images_u8(0, 2, 64)
    near = np.clip(truth.astype(int) + 3, 0, 255).astype(np.uint8)
    same = distance_to_truth(truth, truth)
    assert same == {"truth_psnr": 100, "truth_ssim": pytest.approx(1)}
    close, far = distance_to_truth(near, truth), distance_to_truth(other, truth)
    assert close["truth_psnr"] == pytest.approx(10 * np.log10(255**2 / 9), abs=0.3)
    assert close["truth_ssim"] > 0.95 > far["truth_ssim"]
    assert distance_to_truth(near, truth, lambda a, b: float(np.abs(a.astype(int) - b).max()))["truth_lpips"] == 3
    with pytest.raises(ValueError, match="size"):
        distance_to_truth(truth, truth[:32])


def test_end_point_error_counts_visible_points_only() -> None:
    truth = torch.zeros(3, 2, 4, 4)
    flow = truth.clone()
    flow[0, 0], flow[0, 1] = 3, 4
    flow[1, :, 0] = torch.nan
    flow[1, 0, 1] = 2
    visible = torch.ones(3, 4, 4, dtype=torch.bool)
    visible[1, 0] = False
    visible[2] = False
    error = end_point_error(flow, truth, visible)
    assert error[:2].tolist() == pytest.approx([5.0, 2 * 4 / 12])
    assert bool(error[2].isnan())
    with pytest.raises(ValueError, match="fit"):
        end_point_error(flow, truth[:2], visible)


def test_cells_become_pixels() -> None:
    cells = torch.ones(1, 2, 8, 16)
    pixels = cells_to_pixels(cells, (64, 64))
    assert pixels.shape == (1, 2, 64, 64)
    assert torch.allclose(pixels[:, 0], torch.tensor(4.0))
    assert torch.allclose(pixels[:, 1], torch.tensor(8.0))
