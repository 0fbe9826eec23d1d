"""Cameras of EG3D: 25 numbers, and the rays of their pixels (eg3d card, section 6).

A camera is a camera-to-world matrix 4x4 and intrinsics 3x3 over the image size, both row by row. Axes are OpenCV's: x
right, y down, z forward; the world has y up and the face looks to +z.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

FOCAL = 4.2647
PIVOT = (0.0, 0.0, 0.2)
RADIUS = 2.7


def look_at(horizontal: Tensor, vertical: Tensor, pivot: tuple[float, float, float] = PIVOT) -> Tensor:
    """Cameras (N, 25) on a sphere around the world's origin, looking at the pivot.

    Args:
        horizontal: (N,), pi / 2 + yaw; yaw above 0 moves the camera to +x.
        vertical: (N,), pi / 2 + pitch, above 0 downwards. Not an angle: the camera turns by arccos(1 - 2 v / pi).
        pivot: Where all of them look.
    """
    polar = torch.arccos(1 - 2 * vertical.clamp(1e-5, math.pi - 1e-5) / math.pi)
    around = math.pi - horizontal
    position = RADIUS * torch.stack([polar.sin() * around.cos(), polar.cos(), polar.sin() * around.sin()], 1)
    forward = F.normalize(torch.tensor(pivot).to(position) - position, dim=1)
    up = torch.tensor([0.0, 1.0, 0.0]).to(position).expand_as(forward)
    right = -F.normalize(torch.linalg.cross(up, forward), dim=1)
    down = F.normalize(torch.linalg.cross(forward, right), dim=1)
    top = torch.stack([right, down, forward, position], 2)
    bottom = torch.tensor([0.0, 0.0, 0.0, 1.0]).to(top).expand(len(top), 1, 4)
    lens = torch.tensor([FOCAL, 0, 0.5, 0, FOCAL, 0.5, 0, 0, 1.0]).to(top).expand(len(top), 9)
    return torch.cat([torch.cat([top, bottom], 1).flatten(1), lens], 1)


def turned(degrees: Tensor) -> Tensor:
    """Cameras (N, 25) at degrees (N, 2) of yaw and pitch against the frontal view, both true angles."""
    yaw, pitch = torch.deg2rad(degrees).unbind(1)
    # The vertical coordinate that gives this polar angle: look_at takes it through an arccos.
    vertical = math.pi / 2 * (1 - torch.cos(math.pi / 2 + pitch))
    return look_at(math.pi / 2 + yaw, vertical)


def rays(cameras: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Origins (N, 3) and unit directions (N, side * side, 3) of the pixel centres, row by row."""
    pose, lens = cameras[:, :16].view(-1, 4, 4), cameras[:, 16:].view(-1, 3, 3)
    centres = (torch.arange(side, device=cameras.device, dtype=cameras.dtype) + 0.5) / side
    down, across = torch.meshgrid(centres, centres, indexing="ij")
    u, v = across.flatten()[None], down.flatten()[None]
    focal_x, focal_y, skew = lens[:, 0, 0, None], lens[:, 1, 1, None], lens[:, 0, 1, None]
    centre_x, centre_y = lens[:, 0, 2, None], lens[:, 1, 2, None]
    x = (u - centre_x + centre_y * skew / focal_y - skew * v / focal_y) / focal_x
    y = (v - centre_y) / focal_y
    points = torch.stack([x, y.expand_as(x), torch.ones_like(x)], 2)
    directions = F.normalize(points @ pose[:, :3, :3].transpose(1, 2), dim=2)
    return pose[:, :3, 3], directions
