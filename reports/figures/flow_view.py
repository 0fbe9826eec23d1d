"""Flow as an image: direction is hue, length is saturation, arrows for the eye, and a wheel that explains both.

A flow is float32 (2, h, w) in cells of its own grid, channel 0 to the right and channel 1 down. It lies on the edited
image and points to the place in the unedited one where the content came from (flow card).
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

_ARROWS = 12


def flow_colours(flow: np.ndarray, longest: float) -> np.ndarray:
    """Colours of a flow: uint8 (h, w, 3).

    Args:
        flow: float (2, h, w), any unit.
        longest: Length of full saturation, in the flow's unit; longer vectors are shown a little darker.

    White is no movement; not-a-number is grey.
    """
    x, y = np.asarray(flow, dtype=np.float64)
    known = np.isfinite(x) & np.isfinite(y)
    x, y = np.where(known, x, 0.0), np.where(known, y, 0.0)
    length = np.hypot(x, y) / max(longest, 1e-9)
    hue = (np.arctan2(y, x) / (2 * np.pi)) % 1.0
    value = np.where(length > 1, 0.8, 1.0)
    colours = _hsv(hue, np.minimum(length, 1.0), value)
    return np.where(known[..., None], colours, 128).astype(np.uint8)


def _hsv(hue: np.ndarray, saturation: np.ndarray, value: np.ndarray) -> np.ndarray:
    """HSV in [0, 1] to RGB in [0, 255], float64 (h, w, 3)."""
    shift = np.array([5.0, 3.0, 1.0])
    k = (shift + 6.0 * hue[..., None]) % 6.0
    ramp = np.clip(np.minimum(k, 4.0 - k), 0.0, 1.0)
    return 255.0 * value[..., None] * (1.0 - saturation[..., None] * ramp)


def full_length(*flows: np.ndarray) -> float:
    """Common scale of several flows: the 99th percentile of all lengths, so that they can be compared by eye."""
    lengths = [np.hypot(*flow).ravel() for flow in flows]
    lengths = [length[np.isfinite(length)] for length in lengths]
    joined = np.concatenate([*lengths, np.zeros(1)])
    return float(np.percentile(joined, 99)) or 1.0


def flow_image(flow: np.ndarray, size: tuple[int, int], longest: float) -> Image.Image:
    """A flow at `size` (width, height): colours by cells, and arrows of true length and direction on a coarse grid."""
    width, height = size
    colours = Image.fromarray(flow_colours(flow, longest)).resize(size, Image.Resampling.BILINEAR)
    scale = 2
    canvas = colours.resize((width * scale, height * scale), Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(canvas)
    rows, columns = flow.shape[1:]
    for row in _places(rows):
        for column in _places(columns):
            vector = np.asarray(flow[:, row, column], dtype=np.float64)
            if not np.isfinite(vector).all():
                continue
            start = np.array([(column + 0.5) / columns * width, (row + 0.5) / rows * height]) * scale
            step = vector / (columns, rows) * (width, height) * scale
            _arrow(draw, start, step)
    return canvas.resize(size, Image.Resampling.LANCZOS)


def _places(count: int) -> np.ndarray:
    some = min(_ARROWS, count)
    return np.unique(((np.arange(some) + 0.5) * count / some).astype(int))


def _arrow(draw: ImageDraw.ImageDraw, start: np.ndarray, step: np.ndarray) -> None:
    length = float(np.hypot(*step))
    if length < 2.0:
        draw.ellipse([*(start - 1), *(start + 1)], fill=(150, 150, 150))
        return
    end, along = start + step, step / length
    across = np.array([-along[1], along[0]])
    head = min(9.0, 0.5 * length)
    draw.line([*start, *end], fill=(25, 25, 25), width=2)
    wings = [end - head * along + side * 0.5 * head * across for side in (-1, 1)]
    draw.polygon([tuple(end), *(tuple(wing) for wing in wings)], fill=(25, 25, 25))


def wheel(side: int) -> Image.Image:
    """The legend: every direction with lengths from zero (middle) to full (rim), `side` pixels across, on white."""
    y, x = np.mgrid[0:side, 0:side].astype(np.float64)
    centre = (side - 1) / 2
    flow = np.stack([x - centre, y - centre]) / centre
    colours = flow_colours(np.where(np.hypot(*flow) <= 1, flow, 0.0), 1.0)
    return Image.fromarray(colours)
