"""The renderer: scenes to images, painted back to front, vectorised over the batch and anti-aliased."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.world.details import backdrop, earrings, face_paint, freckles, glasses, hat
from bench.world.geometry import (
    EYE_Y,
    HEAD_CENTRE_Y,
    MOUTH_Y,
    NOSE_Y,
    Radii,
    Surface,
    Turn,
    coverage,
    ellipse_distance,
    pixel_grid,
    see,
    skin_of,
)
from bench.world.paint import bar, colour_between, constant, over
from bench.world.scene import Scene

SHELL, HAT = 1.10, 1.15  # the hair's and the hat's ellipsoids against the head's
IMAGE_SIZE = 64


@dataclass(frozen=True)
class View:
    """What every layer of one image needs."""

    scene: Scene
    x: Tensor
    y: Tensor
    pixel: float
    turn: Turn
    head: Radii
    face: Surface
    shell: Surface

    @staticmethod
    def of(scene: Scene, size: int) -> View:
        """The view of scenes at `size` pixels a side."""
        x, y = pixel_grid(size, scene.values.device)
        pixel, turn, head = 2.0 / size, Turn.of(scene), Radii.of_head(scene)
        scale = torch.where(scene.get("hat") > 0.5, HAT, SHELL)
        shell = head.scaled(scale)
        return View(scene, x, y, pixel, turn, head, see(head, turn, x, y, pixel), see(shell, turn, x, y, pixel))

    def edge(self, surface: Surface) -> Tensor:
        """Width of one pixel on a surface: wider where it turns away."""
        return self.pixel / surface.nz.clamp(0.3, 1.0)

    def light(self, surface: Surface) -> Tensor:
        """Brightness factor of a surface, (N, H, W)."""
        angle, power = torch.deg2rad(self.scene.get("light_angle")), self.scene.get("light_power")
        lit = (surface.nx * angle.sin() * 0.85 + surface.ny * 0.35 + surface.nz * angle.cos() * 0.85).clamp_min(0)
        return 1.0 - power + power * 1.15 * lit


def render(scene: Scene, size: int = IMAGE_SIZE, *, chunk: int | None = None) -> Tensor:
    """Pictures float32 (N, 3, size, size) in [-1, 1] of N scenes, on the scenes' device.

    Works through `chunk` scenes at a time: by default few on a CPU, so that the maps stay in its cache, and many
    elsewhere; the result does not depend on it.
    """
    device = scene.values.device
    chunk = chunk or (16 if device.type == "cpu" else 1024)
    with torch.inference_mode():
        images = [_render(Scene(values), size) for values in scene.values.split(chunk)]
    return torch.cat(images).clone() if images else torch.empty(0, 3, size, size, device=device)


def to_uint8(images: Tensor) -> Tensor:
    """uint8 (N, size, size, 3) of images in [-1, 1], rounded to nearest."""
    return ((images.clamp(-1, 1) + 1) * 127.5 + 0.5).floor().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def _render(scene: Scene, size: int) -> Tensor:
    view = View.of(scene, size)
    canvas = _background(view)
    canvas = _back_hair(canvas, view)
    canvas = _body(canvas, view)
    canvas = _ears(canvas, view)
    canvas = over(canvas, _skin(view), view.face.cover)
    canvas = _nose(canvas, view)
    canvas = _front_hair(canvas, view)
    canvas = glasses(canvas, scene, view.face, view.edge(view.face))
    canvas = hat(canvas, scene, view.shell, view.edge(view.shell), view.light(view.shell))
    canvas = earrings(canvas, scene, view.head, view.turn, view.face, view.x, view.y, view.pixel)
    return canvas.clamp(0, 1) * 2 - 1


def _background(view: View) -> Tensor:
    scene = view.scene
    plain = torch.stack([scene.get(name) for name in ("back_red", "back_green", "back_blue")], 1)
    canvas = (plain + (scene.get("back_slope") * view.y)[:, None]).expand(-1, -1, -1, view.x.shape[-1])
    return backdrop(canvas, scene, view.x, view.y, view.pixel)


def _hair_colour(view: View) -> Tensor:
    scene = view.scene
    base = colour_between((0.10, 0.07, 0.05), (0.85, 0.70, 0.42), scene.get("hair_tone") ** 1.5)
    red = constant((0.18, 0.0, -0.04), base)
    base = base + red * scene.get("hair_warmth")[:, None]
    grey = ((scene.get("age") - 0.55) / 0.45).clamp(0, 1)[:, None] * 0.75
    return base + grey * (0.72 - base)


def _back_hair(canvas: Tensor, view: View) -> Tensor:
    """Hair behind the head; what hangs down stays still when the head turns."""
    scene = view.scene
    length = scene.get("hair_length")
    half = view.head.a * 1.12
    y = view.y - HEAD_CENTRE_Y
    shape = coverage(half * (1 - 0.12 * (y + 0.3).clamp(-1, 0)) - view.x.abs(), view.pixel) * coverage(-y, view.pixel)
    shape = shape * coverage(y + length * 1.05, view.pixel * 2)
    nape = view.shell.cover * coverage(y - scene.get("hairline") + _hair_drop(scene), view.pixel)
    return over(canvas, _hair_colour(view) * 0.75, torch.maximum(shape, nape))


def _hair_drop(scene: Scene) -> Tensor:
    """How far the hair at the sides and the back hangs below the hairline."""
    return 0.42 + 0.9 * scene.get("hair_length").clamp_min(0)


def _body(canvas: Tensor, view: View) -> Tensor:
    scene = view.scene
    y = view.y - HEAD_CENTRE_Y
    neck = coverage(0.24 - view.x.abs(), view.pixel) * coverage(-0.45 - y, view.pixel)
    cloth = coverage(ellipse_distance(view.x, y + 1.18, 0.80, 0.36), view.pixel)
    canvas = over(canvas, _skin_colour(view) * 0.72, neck)
    colour = colour_between((0.12, 0.16, 0.35), (0.85, 0.80, 0.75), scene.get("cloth_tone"))
    warm = constant((0.25, -0.08, -0.18), colour) * scene.get("cloth_warmth")[:, None]
    return over(canvas, (colour + warm).clamp(0, 1), cloth)


def _skin_colour(view: View) -> Tensor:
    base = colour_between((0.38, 0.24, 0.17), (0.97, 0.80, 0.69), view.scene.get("skin_tone"))
    return base + constant((0.05, -0.02, -0.05), base) * view.scene.get("skin_warmth")[:, None]


def _ears(canvas: Tensor, view: View) -> Tensor:
    for side in (-1.0, 1.0):
        x, z = view.turn.to_image(side * view.head.a, torch.zeros_like(view.head.a))
        distance = ellipse_distance(view.x - x, view.y - HEAD_CENTRE_Y + 0.02, 0.07 + 0.06 * view.turn.sin.abs(), 0.15)
        alpha = coverage(distance, view.pixel) * (z > -0.25)
        canvas = over(canvas, _skin_colour(view) * 0.85, alpha)
    return canvas


def _skin(view: View) -> Tensor:
    """The face: everything that is drawn on the skin and moves with it, shaded."""
    scene, face = view.scene, view.face
    edge = view.edge(face)
    p, y = skin_of(scene, face.p, face.y)
    skin = _skin_colour(view).expand(-1, -1, *p.shape[1:])
    skin = over(skin, skin * constant((1.0, 0.78, 0.76), skin), 0.6 * _blush(p, y))
    skin = freckles(skin, scene, p, y, edge)
    skin = face_paint(skin, scene, p, y, edge)
    skin = over(skin, skin * 0.62, _wrinkles(scene, p, y, edge))
    skin = _eyes(skin, scene, face, edge)
    skin = over(skin, _hair_colour(view) * 0.55, _brows(scene, face, edge))
    skin = _mouth(skin, scene, p, y, edge)
    return skin * view.light(face)[:, None]


def _blush(p: Tensor, y: Tensor) -> Tensor:
    return torch.exp(-((p.abs() - 0.34) ** 2 + (y + 0.18) ** 2) / 0.03)


def _wrinkles(scene: Scene, p: Tensor, y: Tensor, edge: Tensor) -> Tensor:
    """Forehead lines, folds beside the mouth and crow's feet; they come with age."""
    age = scene.get("age")
    lines = torch.zeros_like(p)
    for i, height in enumerate((0.345, 0.415, 0.485)):
        bend = 0.02 * torch.cos(6 * p)
        lines = torch.maximum(
            lines, bar(y - height - bend, 0.011, edge) * coverage(0.30 - 0.03 * i - p.abs(), edge * 3)
        )
    fold = bar(p.abs() - 0.20 + 0.30 * (y + 0.24), 0.012, edge) * coverage(0.13 - (y + 0.24).abs(), edge * 2)
    feet = bar((y - EYE_Y + 0.02).abs() - 0.35 * (p.abs() - 0.42), 0.010, edge) * coverage(
        0.06 - (p.abs() - 0.48).abs(), edge
    )
    return torch.maximum(lines, torch.maximum(fold, feet)) * (age * 1.3 - 0.15).clamp(0, 1)


def _eyes(skin: Tensor, scene: Scene, face: Surface, edge: Tensor) -> Tensor:
    size = scene.get("eye_size")
    dx, dy = face.p.abs() - scene.get("eye_spacing"), face.y - EYE_Y
    height = size * (0.62 - 0.16 * scene.get("smile").clamp_min(0) - 0.08 * scene.get("age"))
    ball = ellipse_distance(dx, dy, size, height)
    open_eye = coverage(ball, edge)
    iris_distance = torch.sqrt(dx**2 + dy**2)
    iris = colour_between((0.20, 0.11, 0.05), (0.25, 0.55, 0.75), scene.get("eye_colour"))
    skin = over(skin, torch.full_like(skin, 0.95), open_eye)
    skin = over(skin, iris.expand_as(skin), coverage(size * 0.55 - iris_distance, edge) * open_eye)
    skin = over(skin, torch.full_like(skin, 0.03), coverage(size * 0.26 - iris_distance, edge) * open_eye)
    lid = bar(ball, 0.014, edge) * coverage(dy + 0.01, edge)
    return over(skin, skin * 0.25, lid)


def _brows(scene: Scene, face: Surface, edge: Tensor) -> Tensor:
    dx = face.p.abs() - scene.get("eye_spacing")
    centre = EYE_Y + scene.get("brow_height") - scene.get("brow_tilt") * dx - 1.2 * dx**2
    return bar(face.y - centre, scene.get("brow_weight"), edge) * coverage(0.15 - dx.abs(), edge)


def _mouth(skin: Tensor, scene: Scene, p: Tensor, y: Tensor, edge: Tensor) -> Tensor:
    """Lips round an opening that shows teeth; the smile itself is in the skin coordinates (p, y)."""
    width = scene.get("mouth_width")
    profile = 1 - (p / width) ** 2
    opening = 0.075 * ((scene.get("smile") - 0.25) / 0.75).clamp(0, 1)
    distance = (y - MOUTH_Y).abs()
    lips = coverage((opening + scene.get("mouth_weight")) * profile - distance, edge) * coverage(
        profile * 0.3 + 0.02, edge
    )
    lip = colour_between((0.45, 0.16, 0.14), (0.86, 0.36, 0.40), scene.get("lip_colour"))
    skin = over(skin, lip.expand_as(skin), lips)
    inside = coverage(profile * 0.2, edge)
    skin = over(skin, skin * 0.35, bar(y - MOUTH_Y, 0.010, edge) * inside)
    teeth = coverage(opening * profile - distance - 0.004, edge) * inside
    return over(skin, torch.full_like(skin, 0.96), teeth * (opening > 0))


def _nose(canvas: Tensor, view: View) -> Tensor:
    """A small ellipsoid standing out of the face: the feature with the strongest parallax."""
    scene = view.scene
    width, length = scene.get("nose_width"), scene.get("nose_length")
    reach = view.head.c + 0.02
    x, _ = view.turn.to_image(torch.zeros_like(reach), reach)
    dx, dy = view.x - x, view.y - HEAD_CENTRE_Y - NOSE_Y
    rx = torch.sqrt((width * view.turn.cos) ** 2 + (0.12 * view.turn.sin) ** 2) * (
        1 - 0.8 * (dy / length).clamp(-0.6, 0.8)
    )
    distance = ellipse_distance(dx, dy, rx.clamp_min(0.02), length)
    nx, ny = (dx / rx.clamp_min(0.02)).clamp(-1, 1), (dy / length).clamp(-1, 1)
    nz = torch.sqrt((1 - 0.7 * nx**2 - 0.7 * ny**2).clamp_min(0.05))
    shape = Surface(distance, distance, distance, distance, nx * 0.8, ny * 0.8, nz)
    colour = _skin_colour(view) * 1.04 * view.light(shape)[:, None]
    canvas = over(canvas, colour, coverage(distance, view.pixel) * view.face.cover)
    for side in (-1.0, 1.0):
        hole = 0.022 - torch.sqrt((dx - side * width * 0.45) ** 2 + (dy + length * 0.82) ** 2)
        canvas = over(canvas, canvas * 0.45, coverage(hole, view.pixel))
    return canvas


def hair_region(view: View) -> Tensor:
    """Share of the shell that is hair, (N, H, W): above the hairline, which falls towards the sides."""
    scene, shell = view.scene, view.shell
    side = (shell.p.abs() / view.head.a - 0.75).clamp_min(0)
    length = scene.get("hair_length").clamp_min(0)
    drop = torch.minimum(side * (1.1 + 1.6 * length), _hair_drop(scene))
    return coverage(shell.y - scene.get("hairline") + drop, view.edge(shell)) * shell.cover


def _front_hair(canvas: Tensor, view: View) -> Tensor:
    strands = 1 + 0.10 * torch.sin(26 * view.shell.p + 3 * view.shell.y)
    colour = _hair_colour(view) * (strands * view.light(view.shell))[:, None]
    return over(canvas, colour, hair_region(view))
