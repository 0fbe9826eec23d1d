"""FFHQ's crop of a face: the oriented square around its 68 landmarks, cut out upright.

The rule is the one that the data set's and the encoders' authors' scripts share: a square along the line that eyes and
mouth agree on, 2 eye distances or 1.8 eye-to-mouth distances to each side, whichever is larger, around a point 10 % of
the way from the eyes to the mouth. What lies outside the photograph is mirrored and blurred towards its median colour.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)
MOUTH_CORNERS = (48, 54)
BORDER = 0.1  # of the square's side: photograph kept around it, and the smallest margin that is filled
SUPERSAMPLING = 4  # the square is cut at this many times the output's side (FFHQ: 4096 for 1024), then reduced


@dataclass(frozen=True)
class Square:
    """An oriented square in an image.

    Attributes:
        corners: float64 (4, 2), x and y in pixels: top left, bottom left, bottom right, top right of the face.
    """

    corners: np.ndarray

    @property
    def side(self) -> float:
        """Length of a side in pixels."""
        return float(np.hypot(*(self.corners[3] - self.corners[0])))

    def moved(self, shift: np.ndarray, scale: float = 1.0) -> Square:
        """The same square after the image was shifted by -`shift` (x, y), then scaled."""
        return Square((self.corners - shift) * scale)


def face_square(landmarks: np.ndarray) -> Square:
    """The square that FFHQ cuts out, from float (68, 2) landmarks in the 300-W order (x, y in pixels)."""
    left, right = landmarks[LEFT_EYE].mean(0), landmarks[RIGHT_EYE].mean(0)
    eyes, mouth = (left + right) / 2, landmarks[list(MOUTH_CORNERS)].mean(0)
    across, down = right - left, mouth - eyes
    axis = across - np.array([-down[1], down[0]])
    axis *= max(2.0 * np.hypot(*across), 1.8 * np.hypot(*down)) / np.hypot(*axis)
    other = np.array([-axis[1], axis[0]])
    centre = eyes + 0.1 * down
    return Square(
        np.stack([centre - axis - other, centre - axis + other, centre + axis + other, centre + axis - other])
    )


def cut(image: np.ndarray, square: Square, size: int) -> np.ndarray:
    """The square of a uint8 (H, W, 3) image as an upright uint8 (size, size, 3)."""
    picture, square = _shrunk(Image.fromarray(image), square, size)
    picture, square = _cropped(picture, square)
    picture, square = _filled(picture, square)
    side = SUPERSAMPLING * size
    quad = tuple((square.corners + 0.5).flatten().tolist())
    upright = picture.transform((side, side), Image.Transform.QUAD, quad, Image.Resampling.BILINEAR)
    return np.asarray(upright.resize((size, size), Image.Resampling.LANCZOS))


def _shrunk(picture: Image.Image, square: Square, size: int) -> tuple[Image.Image, Square]:
    """A photograph much larger than needed is reduced by a whole factor first."""
    factor = int(square.side / size / 2)
    if factor <= 1:
        return picture, square
    small = (round(picture.width / factor), round(picture.height / factor))
    return picture.resize(small, Image.Resampling.LANCZOS), square.moved(np.zeros(2), 1 / factor)


def _bounds(square: Square) -> np.ndarray:
    """(left, top, right, bottom) of the square in whole pixels."""
    return np.concatenate([np.floor(square.corners.min(0)), np.ceil(square.corners.max(0))]).astype(int)


def _cropped(picture: Image.Image, square: Square) -> tuple[Image.Image, Square]:
    border = max(round(square.side * BORDER), 3)
    box = _bounds(square) + np.array([-border, -border, border, border])
    box = np.concatenate([np.maximum(box[:2], 0), np.minimum(box[2:], picture.size)])
    return picture.crop(tuple(box.tolist())), square.moved(box[:2])


def _filled(picture: Image.Image, square: Square) -> tuple[Image.Image, Square]:
    """Where the square reaches over the photograph's edge: mirrored, blurred, and faded to the median colour."""
    border = max(round(square.side * BORDER), 3)
    box = _bounds(square)
    missing = np.maximum(np.concatenate([-box[:2], box[2:] - np.array(picture.size)]) + border, 0)
    if missing.max() <= border - 4:
        return picture, square
    margins = np.maximum(missing, round(square.side * 0.3))
    left, top, right, bottom = margins.tolist()
    pixels = np.pad(np.asarray(picture, np.float32), ((top, bottom), (left, right), (0, 0)), "reflect")
    height, width = pixels.shape[:2]
    rows, columns = np.arange(height)[:, None], np.arange(width)[None]
    with np.errstate(divide="ignore"):
        inside = np.minimum(
            np.minimum(columns / left, (width - 1 - columns) / right),
            np.minimum(rows / top, (height - 1 - rows) / bottom),
        )
    outside = (1 - inside)[..., None]
    blurred = gaussian_filter(pixels, (square.side * 0.02, square.side * 0.02, 0))
    pixels += (blurred - pixels) * np.clip(3 * outside + 1, 0, 1)
    pixels += (np.median(pixels, axis=(0, 1)) - pixels) * np.clip(outside, 0, 1)
    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8)), square.moved(-margins[:2])
