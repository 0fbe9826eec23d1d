"""Errors of flows."""

from __future__ import annotations

import pytest
import torch

from metrics.flow import cells_to_pixels, end_point_error, flow_columns


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


def test_moving_points_alone_say_whether_a_flow_follows() -> None:
    """One point in four moves by (3, 4): half of it followed, then the other way round, then nothing that moves."""
    truth = torch.zeros(3, 2, 2, 2)
    truth[:2, 0, 0, 0], truth[:2, 1, 0, 0] = 3, 4
    flow = torch.stack([truth[0] / 2, -truth[1], truth[2]])
    half, against, still = flow_columns(flow, truth, torch.ones(3, 2, 2, dtype=torch.bool))
    assert half == pytest.approx(
        {"flow_epe": 2.5 / 4, "flow_epe_of_zero": 5 / 4, "flow_epe_moving": 2.5, "flow_slope": 0.5}
    )
    assert against["flow_slope"] == pytest.approx(-1)
    assert still == {"flow_epe": 0, "flow_epe_of_zero": 0}
