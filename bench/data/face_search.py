"""Which images of a split a detector sees a face in: a look at some of them, spread over the split, or at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from bench.core.errors import FETCH, ImageError
from bench.data.images import decode
from bench.data.listing import Entry, some

# What a detector is shown: the shorter side, as large as the evaluator's own.
SIDE = 256
# A share of images without a face above this is no accident of the detector's.
DOUBTFUL = 0.1


@dataclass(frozen=True)
class FaceDetector:
    """A detector that is at hand.

    Attributes:
        name: In words.
        sees: uint8 (h, w, 3) RGB -> whether there is a face.
    """

    name: str
    sees: Callable[[np.ndarray], bool]


@dataclass(frozen=True)
class FaceSearch:
    """What was found: how many images were looked at, and the names of those without a face."""

    detector: str
    looked_at: int
    without: tuple[str, ...]

    @property
    def doubtful(self) -> bool:
        """Whether too many images have no face for the split to be one of faces."""
        return len(self.without) > DOUBTFUL * self.looked_at

    @property
    def words(self) -> str:
        """In one line."""
        if not self.detector:
            return f"faces were not looked for: no detector is here; {FETCH} mtcnn gets one"
        found = f"{self.detector} sees a face in {self.looked_at - len(self.without)} of {self.looked_at} images"
        return f"{found}, none in {some(self.without, 20)}" if self.without else found


NOT_SEARCHED = FaceSearch("", 0, ())


def search(entries: Sequence[Entry], detector: FaceDetector | None, most: int | None) -> FaceSearch:
    """Look for faces in at most `most` images (None: all); what cannot be read is none of its business."""
    if detector is None:
        return NOT_SEARCHED
    looked_at, without = 0, []
    for entry in _spread(entries, most):
        if entry.path is None:
            continue
        try:
            pixels = decode(entry.path)
        except ImageError:
            continue
        looked_at += 1
        if not detector.sees(_reduced(pixels)):
            without.append(entry.name)
    return FaceSearch(detector.name, looked_at, tuple(without))


def _spread(entries: Sequence[Entry], most: int | None) -> Sequence[Entry]:
    if most is None or len(entries) <= most:
        return entries
    return [entries[at * len(entries) // most] for at in range(most)]


def _reduced(pixels: np.ndarray) -> np.ndarray:
    factor = min(pixels.shape[:2]) / SIDE
    if factor <= 1:
        return pixels
    size = (max(1, round(pixels.shape[1] / factor)), max(1, round(pixels.shape[0] / factor)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
