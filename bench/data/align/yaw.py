"""How far a face is turned, from its landmarks: good enough to set two turned faces side by side, not to score them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from bench.core.errors import MissingError
from bench.data.align.faces import find_faces

# Outer corners of the eyes and tip of the nose among the 68 landmarks.
_CORNERS, _NOSE = (36, 45), 30
# Half the distance of the corners against the depth of the nose's tip before them, of an average head.
_HALF_BY_DEPTH = 225 / 135

YawMeter = Callable[[np.ndarray], float | None]


def yaw_of(landmarks: np.ndarray) -> float:
    """Degrees of yaw of landmarks (68, 2); above 0 where the nose points to the image's right.

    Seen from far away, a turned nose moves by depth * sin(yaw) along the eyes' line, while half the eyes' distance
    shrinks to half * cos(yaw): their ratio is the tangent, whatever the size of the face or its roll.
    """
    left, right = (landmarks[at] for at in _CORNERS)
    half = (right - left) / 2
    length = float(np.hypot(*half))
    along = float((landmarks[_NOSE] - (left + right) / 2) @ half) / length
    return math.degrees(math.atan2(_HALF_BY_DEPTH * along, length))


def landmark_yaw() -> YawMeter | None:
    """uint8 (H, W, 3) -> degrees of its largest face, None where none is found; None without the extra `align`."""
    try:
        find_faces(np.zeros((64, 64, 3), np.uint8))
    except MissingError:
        return None
    return _measured


def _measured(image: np.ndarray) -> float | None:
    faces = find_faces(image)
    return yaw_of(faces[0].landmarks) if faces else None
