"""The head's geometry: ellipsoids seen from the front, turned by yaw, and how a smile moves the skin.

Image coordinates: x right, y up, both -1..1 (1.0 = half the image); z towards the viewer. Head coordinates (u, y,
w) turn
with the head: u to the picture's right and w to the front at yaw 0. All maps are (N, H, W).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.world.scene import Scene

HEAD_CENTRE_Y = 0.02
EYE_Y, MOUTH_Y, NOSE_Y = 0.10, -0.36, -0.10
SMILE_REACH, SMILE_OUT, SMILE_UP = 0.12, 0.05, 0.10


@dataclass(frozen=True)
class Turn:
    """Cosine and sine of yaw, each (N, 1, 1)."""

    cos: Tensor
    sin: Tensor

    @staticmethod
    def of(scene: Scene) -> Turn:
        """The turn of each scene's head, (N, 1, 1)."""
        yaw = torch.deg2rad(scene.get("yaw"))
        return Turn(yaw.cos(), yaw.sin())

    def to_head(self, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """(u, w) in the head's own frame of scene coordinates (x, z)."""
        return x * self.cos - z * self.sin, x * self.sin + z * self.cos

    def to_image(self, u: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
        """(x, z) of head coordinates (u, w)."""
        return u * self.cos + w * self.sin, w * self.cos - u * self.sin


@dataclass(frozen=True)
class Radii:
    """Half axes of an ellipsoid about the head's centre: a (u), b (y), c (w), each (N, 1, 1)."""

    a: Tensor
    b: Tensor
    c: Tensor

    def scaled(self, factor: Tensor | float) -> Radii:
        """All three radii times a factor."""
        return Radii(self.a * factor, self.b * factor, self.c * factor)

    @staticmethod
    def of_head(scene: Scene) -> Radii:
        """Of each scene's head, (N, 1, 1)."""
        a, b = scene.get("face_width"), scene.get("face_height")
        return Radii(a, b, a * 1.08)


@dataclass(frozen=True)
class Surface:
    """The visible side of an ellipsoid, per pixel.

    Attributes:
        cover: Share of the pixel inside the outline, 0..1, anti-aliased.
        z: Depth of the surface, towards the viewer.
        p: Arc coordinate round the head, 0 at the nose line, in image units.
        y: Height above the head's centre.
        nx, ny, nz: Unit normal in image coordinates.
    """

    cover: Tensor
    z: Tensor
    p: Tensor
    y: Tensor
    nx: Tensor
    ny: Tensor
    nz: Tensor


def pixel_grid(size: int, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """x and y of pixel centres, each (1, size, size); y grows upwards."""
    line = (torch.arange(size, device=device) + 0.5) * (2 / size) - 1
    return line.view(1, 1, size), -line.view(1, size, 1)


def coverage(distance: Tensor, width: Tensor | float) -> Tensor:
    """Anti-aliased inside-ness, 0..1, of a signed distance (positive inside) over an edge `width`."""
    return (distance / width + 0.5).clamp(0, 1)


def ellipse_distance(x: Tensor, y: Tensor, rx: Tensor | float, ry: Tensor | float) -> Tensor:
    """Approximate signed distance to an ellipse about the origin, positive inside."""
    k0 = torch.sqrt((x / rx) ** 2 + (y / ry) ** 2 + 1e-8)
    k1 = torch.sqrt((x / rx**2) ** 2 + (y / ry**2) ** 2 + 1e-8)
    return k0 * (1 - k0) / k1


def see(radii: Radii, turn: Turn, x: Tensor, y: Tensor, pixel: float) -> Surface:
    """Where the rays through image points (x, y) meet the front of an ellipsoid."""
    y = y - HEAD_CENTRE_Y
    width = torch.sqrt((radii.a * turn.cos) ** 2 + (radii.c * turn.sin) ** 2)
    cover = coverage(ellipse_distance(x, y, width, radii.b), pixel)
    a2, c2 = radii.a**2, radii.c**2
    quad = turn.sin**2 / a2 + turn.cos**2 / c2
    half = x * turn.sin * turn.cos * (1 / c2 - 1 / a2)
    rest = x**2 * (turn.cos**2 / a2 + turn.sin**2 / c2) + (y / radii.b) ** 2 - 1
    z = (-half + torch.sqrt((half**2 - quad * rest).clamp_min(0))) / quad
    u, w = turn.to_head(x, z)
    nu, ny, nw = u / a2, (y / radii.b**2).expand_as(u), w / c2
    nx, nz = turn.to_image(nu, nw)
    length = torch.rsqrt(nx**2 + ny**2 + nz**2 + 1e-8)
    return Surface(cover, z, torch.atan2(u, w) * radii.a, y.expand_as(z), nx * length, ny * length, nz * length)


def surface_point(radii: Radii, turn: Turn, p: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Picture x, depth z and normal's z (positive = faces the viewer) of the surface point (p, y)."""
    angle = p / radii.a
    ring = torch.sqrt((1 - (y / radii.b) ** 2).clamp_min(0))
    distance = ring / torch.sqrt((angle.sin() / radii.a) ** 2 + (angle.cos() / radii.c) ** 2)
    u, w = distance * angle.sin(), distance * angle.cos()
    x, z = turn.to_image(u, w)
    _, facing = turn.to_image(u / radii.a**2, w / radii.c**2)
    return x, z, facing


def _smile_shift(scene: Scene, p: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """How far a full smile moves the skin that ends at (p, y)."""
    reach = 2 * SMILE_REACH**2
    height = ((y - MOUTH_Y) ** 2) / reach
    right = torch.exp(-((p - scene.get("mouth_width")) ** 2) / reach - height)
    left = torch.exp(-((p + scene.get("mouth_width")) ** 2) / reach - height)
    return SMILE_OUT * (right - left), SMILE_UP * (right + left)


def skin_of(scene: Scene, p: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The skin point (at rest, smile 0) that a smiling face shows at the surface point (p, y)."""
    dp, dy = _smile_shift(scene, p, y)
    return p - scene.get("smile") * dp, y - scene.get("smile") * dy


def surface_of(scene: Scene, skin_p: Tensor, skin_y: Tensor) -> tuple[Tensor, Tensor]:
    """Inverse of `skin_of`, by fixed-point iteration (the map is a contraction: its slope stays below 0.6)."""
    p, y = skin_p, skin_y
    for _ in range(25):
        dp, dy = _smile_shift(scene, p, y)
        p, y = skin_p + scene.get("smile") * dp, skin_y + scene.get("smile") * dy
    return p, y
