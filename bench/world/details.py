"""Details that carry identity and that the generator never sees: paint, freckles, glasses, hats, earrings,
backdrops.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.world.geometry import EYE_Y, HEAD_CENTRE_Y, Radii, Surface, Turn, coverage, ellipse_distance
from bench.world.paint import bar, hue, over, pattern, switched
from bench.world.scene import Scene

FRECKLES = 16


def backdrop(canvas: Tensor, scene: Scene, x: Tensor, y: Tensor, pixel: float) -> Tensor:
    """A patterned background over the plain one."""
    angle = torch.deg2rad(scene.get("backdrop_angle"))
    a, b = x * angle.cos() + y * angle.sin(), y * angle.cos() - x * angle.sin()
    tone = pattern(scene.get("backdrop_pattern"), scene.get("backdrop_frequency"), a, b, pixel)
    return over(canvas, hue(scene.get("backdrop_hue"), 0.6, 0.95), tone * switched(scene.get("backdrop")) * 0.85)


def face_paint(skin: Tensor, scene: Scene, p: Tensor, y: Tensor, edge: Tensor) -> Tensor:
    """Stripes on cheeks, forehead or one half of the face (thirds of `paint_place`), fixed to the skin at (p, y)."""
    place, angle = scene.get("paint_place"), torch.deg2rad(scene.get("paint_angle"))
    stripes = coverage(
        torch.sin(scene.get("paint_frequency") * (p * angle.cos() + y * angle.sin())),
        scene.get("paint_frequency") * edge,
    )
    cheeks = coverage(0.15 - torch.sqrt((p.abs() - 0.36) ** 2 + (y + 0.15) ** 2), edge)
    forehead = coverage(0.07 - (y - 0.40).abs(), edge) * coverage(0.42 - p.abs(), edge)
    half = coverage(p - 0.12, edge) * coverage(0.22 - (y + 0.12).abs(), edge) * coverage(0.62 - p, edge)
    region = torch.where(place < 1 / 3, cheeks, torch.where(place < 2 / 3, forehead, half))
    return over(skin, hue(scene.get("paint_hue")), 0.9 * stripes * region * switched(scene.get("paint")))


def freckles(skin: Tensor, scene: Scene, p: Tensor, y: Tensor, edge: Tensor) -> Tensor:
    """Dark dots on cheeks and nose; their places come from `freckle_seed`."""
    seed = scene.get("freckle_seed") * 61.7
    alpha = torch.zeros_like(p)
    for i in range(FRECKLES):
        spot_p, spot_y, spot_r = ((torch.sin(seed * (i + 1.3 + k) + 7.1 * k) * 43.7) % 1.0 for k in range(3))
        distance = torch.sqrt((p - (spot_p - 0.5) * 1.0) ** 2 + (y + 0.10 + (spot_y - 0.5) * 0.30) ** 2)
        alpha = torch.maximum(alpha, coverage(0.022 + 0.016 * spot_r - distance, edge))
    return over(skin, skin * 0.45, alpha * switched(scene.get("freckles")))


def glasses(canvas: Tensor, scene: Scene, face: Surface, edge: Tensor) -> Tensor:
    """Two rims, a bridge and the temples, fixed to the head (they do not move with the skin)."""
    size, square = scene.get("glasses_size"), scene.get("glasses_square") > 0.5
    dx, dy = face.p.abs() - scene.get("eye_spacing"), face.y - EYE_Y
    round_distance = size - torch.sqrt(dx**2 + dy**2)
    square_distance = size * 0.9 - torch.maximum(dx.abs(), dy.abs() * 1.15)
    lens = torch.where(square, square_distance, round_distance)
    rim = bar(lens, 0.022, edge)
    bridge = bar(dy - 0.02, 0.018, edge) * coverage(scene.get("eye_spacing") - size - face.p.abs(), edge)
    temple = bar(dy - 0.03, 0.018, edge) * coverage(dx - size, edge)
    shape = torch.maximum(rim, torch.maximum(bridge, temple)) * face.cover * switched(scene.get("glasses"))
    colour = hue(scene.get("glasses_hue"), 0.8, 0.55)
    tint = coverage(lens, edge) * face.cover * switched(scene.get("glasses")) * 0.18
    return over(over(canvas, colour, tint), colour, shape)


def hat(canvas: Tensor, scene: Scene, shell: Surface, edge: Tensor, shade: Tensor) -> Tensor:
    """A patterned hat with a plain band, on the hair's shell."""
    line, on = scene.get("hat_line"), switched(scene.get("hat")) * shell.cover
    tone = pattern(scene.get("hat_pattern"), scene.get("hat_frequency") * 2.2, shell.p, shell.y, 0.03)
    first, second = hue(scene.get("hat_hue"), 0.8, 0.8), hue(scene.get("hat_hue2"), 0.5, 0.95)
    colour = first + tone[:, None] * (second - first)
    canvas = over(canvas, colour * shade[:, None], coverage(shell.y - line, edge) * on)
    return over(canvas, first * 0.6 * shade[:, None], bar(shell.y - line - 0.03, 0.045, edge) * on)


def earrings(
    canvas: Tensor, scene: Scene, head: Radii, turn: Turn, face: Surface, x: Tensor, y: Tensor, pixel: float
) -> Tensor:
    """A ball below each ear, hidden where the head is in front of it."""
    colour = hue(scene.get("earring_hue"), 0.7, 1.0)
    for side in (-1.0, 1.0):
        ball_x, ball_z = turn.to_image(side * (head.a + 0.02), torch.zeros_like(head.a))
        distance = ellipse_distance(
            x - ball_x, y - HEAD_CENTRE_Y + 0.30, scene.get("earring_size"), scene.get("earring_size") * 1.3
        )
        hidden = face.cover * (face.z > ball_z + 0.05)
        canvas = over(canvas, colour, coverage(distance, pixel) * (1 - hidden) * switched(scene.get("earrings")))
    return canvas
