"""Truth: the flow really maps one image onto the other, and the smile's displacement is inverted exactly."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.world.geometry import skin_of, surface_of
from bench.world.render import render
from bench.world.scene import sample_people
from bench.world.truth import edited, true_flow


def warp_back(image: Tensor, flow: Tensor) -> Tensor:
    """Plain bilinear sampling, written here so that the test does not lean on the code under test."""
    size = image.shape[-1]
    line = torch.arange(size, dtype=torch.float32)
    x, y = line[None, None] + flow[:, 0], line[None, :, None] + flow[:, 1]
    grid = torch.stack([2 * x / (size - 1) - 1, 2 * y / (size - 1) - 1], -1)
    return F.grid_sample(image, grid, align_corners=True, padding_mode="border")


@pytest.mark.parametrize("change", [-20.0, -10.0, 10.0, 20.0])
def test_flow_maps_the_source_onto_the_turned_face(change: float) -> None:
    source = sample_people(24, 11).with_fields(yaw=-change / 4, light_angle=0.0, light_power=0.3)
    target = edited(source, "yaw", change)
    before, after = render(source), render(target)
    truth = true_flow(source, target)
    weight = truth.visible[:, None].float()
    error = ((warp_back(before, truth.flow) - after).abs() * weight).sum() / weight.sum() / 3
    unwarped = ((before - after).abs() * weight).sum() / weight.sum() / 3
    assert truth.visible.float().mean() > 0.93
    # What remains is bilinear blur of thin lines and the shading, which stays with the light.
    assert error < 0.45 * unwarped


def test_flow_of_no_edit_is_zero_and_all_visible() -> None:
    scene = sample_people(6, 2)
    truth = true_flow(scene, scene)
    assert truth.flow.abs().max() < 2e-3
    assert truth.visible.all()


def test_flow_direction_and_unit() -> None:
    """Turned to the right (+), the nose moves right: its flow back to the source points left by its travel in
    pixels.
    """
    source = sample_people(4, 7).without_details().with_fields(yaw=0.0)
    target = edited(source, "yaw", 20.0)
    flow = true_flow(source, target).flow
    reach = source["face_width"] * 1.08 + 0.02
    travel = torch.sin(torch.deg2rad(torch.tensor(20.0))) * reach * 32
    at = (31.5 + travel).round().long()
    row = 34
    found = torch.stack([flow[i, 0, row, at[i]] for i in range(4)])
    assert torch.allclose(found, -travel, atol=1.0)


def test_smile_displacement_inverts() -> None:
    scene = sample_people(20, 8).with_fields(smile=1.2)
    p = torch.linspace(-0.5, 0.5, 41).view(1, 1, -1).expand(20, 41, -1)
    y = torch.linspace(-0.6, 0.2, 41).view(1, -1, 1).expand(20, -1, 41)
    skin = skin_of(scene, p, y)
    back_p, back_y = surface_of(scene, *skin)
    assert (back_p - p).abs().max() < 1e-3
    assert (back_y - y).abs().max() < 1e-3


def test_smile_flow_moves_mouth_corners_only() -> None:
    source = sample_people(3, 5).without_details().with_fields(yaw=0.0, smile=0.0)
    flow = true_flow(source, edited(source, "smile", 1.0)).flow
    assert flow.abs().amax() > 1.0
    assert flow[:, :, :28].abs().max() < 0.1


def test_edits_stop_at_the_limits() -> None:
    scene = sample_people(4, 1)
    assert (edited(scene, "yaw", 500.0)["yaw"] == 50.0).all()
