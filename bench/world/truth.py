"""What is true of a synthetic edit: the edited image, and the exact flow and visibility between the two.

Flows follow the flow card: they live on the *target* (edited) grid and point to the *source* (unedited) image, in
pixels, x to the
right and y down: source position = target position + flow.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.world.geometry import EYE_Y, HEAD_CENTRE_Y, Radii, ellipse_distance, skin_of, surface_of, surface_point
from bench.world.render import HAT, IMAGE_SIZE, SHELL, View, hair_region
from bench.world.scene import Scene

# Beyond these the drawing itself breaks down; edits stop there.
LIMITS = {"yaw": (-50.0, 50.0), "smile": (-0.7, 1.3), "age": (0.0, 1.0)}
STILL, FACE, SHELL_LAYER, NOSE, GLASSES, LEFT_EAR, RIGHT_EAR = range(7)


@dataclass(frozen=True)
class TrueFlow:
    """flow float32 (N, 2, H, W) in pixels; visible bool (N, H, W): the target's point is seen in the source, too."""

    flow: Tensor
    visible: Tensor


def edited(scene: Scene, attribute: str, change: Tensor | float) -> Scene:
    """The same scenes with `attribute` changed by `change` (degrees of yaw, units of smile or age), kept within
    LIMITS.
    """
    value = scene[attribute] + torch.as_tensor(change, device=scene.values.device)
    return scene.with_fields(**{attribute: value.clamp(*LIMITS[attribute])})


def true_flow(source: Scene, target: Scene, size: int = IMAGE_SIZE) -> TrueFlow:
    """Exact flow from the target's pixels to the source.

    Exact for scenes that differ in yaw, smile or age. Where face shapes differ as well, points correspond by their
    share of the head's width and height (nobody's eyes are anybody else's: that part is a convention).
    """
    view, back = View.of(target, size), View.of(source, size)
    label = layers(view)
    x, y = view.x.expand_as(label), view.y.expand_as(label)
    to_x, to_y = x.clone(), y.clone()
    faces = torch.ones_like(label, dtype=torch.bool)

    wide, high = back.head.a / view.head.a, back.head.b / view.head.b
    skin_p, skin_y = skin_of(target, view.face.p, view.face.y)
    to_x, to_y, faces = _move(
        label == FACE, (to_x, to_y, faces), _on(back.head, back, *surface_of(source, skin_p * wide, skin_y * high))
    )
    to_x, to_y, faces = _move(
        label == GLASSES, (to_x, to_y, faces), _on(back.head, back, view.face.p * wide, view.face.y * high)
    )
    scale = torch.where(source.get("hat") > 0.5, HAT, SHELL)
    shell = back.head.scaled(scale)
    to_x, to_y, faces = _move(
        label == SHELL_LAYER, (to_x, to_y, faces), _on(shell, back, view.shell.p * wide, view.shell.y * high)
    )
    was, now = _rigid(back), _rigid(view)
    for which in now:
        shift = back.turn.to_image(*was[which])[0] - view.turn.to_image(*now[which])[0]
        to_x = torch.where(label == which, to_x + shift, to_x)

    flow = torch.stack([(to_x - x) * size / 2, (y - to_y) * size / 2], 1)
    return TrueFlow(flow, faces & _same_layer(label, layers(back), to_x, to_y))


def layers(view: View) -> Tensor:
    """Which thing each pixel shows, int64 (N, H, W): one of the layer numbers above."""
    scene = view.scene
    label = torch.zeros_like(view.face.cover, dtype=torch.int64)
    for which, side in ((LEFT_EAR, -1.0), (RIGHT_EAR, 1.0)):
        x, z = view.turn.to_image(side * view.head.a, torch.zeros_like(view.head.a))
        ear = ellipse_distance(view.x - x, view.y - HEAD_CENTRE_Y + 0.02, 0.07 + 0.06 * view.turn.sin.abs(), 0.15)
        label = torch.where((ear > 0) & (z > -0.25), which, label)
    label = torch.where(view.face.cover > 0.5, FACE, label)
    reach = view.head.c + 0.02
    nose_x, _ = view.turn.to_image(torch.zeros_like(reach), reach)
    nose = ellipse_distance(
        view.x - nose_x, view.y - HEAD_CENTRE_Y + 0.10, scene.get("nose_width"), scene.get("nose_length")
    )
    label = torch.where((nose > 0) & (view.face.cover > 0.5), NOSE, label)
    hat = (scene.get("hat") > 0.5) & (view.shell.cover > 0.5) & (view.shell.y > scene.get("hat_line") - 0.02)
    label = torch.where((hair_region(view) > 0.5) | hat, SHELL_LAYER, label)
    rim = (view.face.p.abs() - scene.get("eye_spacing")) ** 2 + (view.face.y - EYE_Y) ** 2
    lens = (scene.get("glasses") > 0.5) & (rim < (scene.get("glasses_size") + 0.03) ** 2) & (view.face.cover > 0.5)
    return torch.where(lens & (label == FACE), GLASSES, label)


def _rigid(view: View) -> dict[int, tuple[Tensor, Tensor]]:
    """Head coordinates (u, w) of the parts that move as one piece."""
    zero = torch.zeros_like(view.head.a)
    return {NOSE: (zero, view.head.c + 0.02), LEFT_EAR: (-view.head.a, zero), RIGHT_EAR: (view.head.a, zero)}


def _on(radii: Radii, view: View, p: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    x, _, facing = surface_point(radii, view.turn, p, y)
    return x, y + HEAD_CENTRE_Y, facing > 0


def _move(
    where: Tensor, now: tuple[Tensor, Tensor, Tensor], to: tuple[Tensor, Tensor, Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    x, y, faces = (torch.where(where, new, old) for new, old in zip(to, now, strict=True))
    return x, y, faces


def _same_layer(label: Tensor, source_label: Tensor, to_x: Tensor, to_y: Tensor) -> Tensor:
    """Is the same thing seen at the source position?"""
    size = label.shape[-1]
    column = ((to_x + 1) * size / 2 - 0.5).round().long()
    row = ((1 - to_y) * size / 2 - 0.5).round().long()
    inside = (column >= 0) & (column < size) & (row >= 0) & (row < size)
    at = row.clamp(0, size - 1) * size + column.clamp(0, size - 1)
    found = source_label.flatten(1).gather(1, at.flatten(1)).view_as(label)
    return inside & (found == label)
