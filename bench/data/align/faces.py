"""Faces of a photograph: dlib's frontal detector and its 68 landmarks (extra `align`), and the aligned crop of one.

The landmark model of the package face-recognition-models was trained on the 300-W data set, whose licence excludes
commercial use; `TERMS` says so wherever it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.core.errors import ImageError, MissingError, UsageError
from bench.data.align.square import Square, cut, face_square

TERMS = "dlib's 68-landmark model was trained on 300-W: research use only, no commercial use"
DETECTION_SIDE = 512
_INSTALL = "pip install 'warpres-bench[align]'"
_MODEL = "shape_predictor_68_face_landmarks.dat"


@dataclass(frozen=True)
class Face:
    """A face that was found.

    Attributes:
        box: left, top, right, bottom in pixels.
        landmarks: float64 (68, 2), x and y in pixels.
    """

    box: tuple[int, int, int, int]
    landmarks: np.ndarray

    @property
    def square(self) -> Square:
        """The square to cut out."""
        return face_square(self.landmarks)


@lru_cache(maxsize=1)
def _models() -> tuple[Any, Any]:
    """dlib's detector and landmark predictor. Raises MissingError where the extra is not installed."""
    file = _model_file()
    import dlib

    return dlib.get_frontal_face_detector(), dlib.shape_predictor(str(file))


@lru_cache(maxsize=1)
def aligner_digest() -> str:
    """Of dlib's version and the landmark model. Raises MissingError where the extra is not installed."""
    from bench.core.checkpoint import file_digest

    file = _model_file()
    import dlib

    return f"dlib {dlib.__version__} {file_digest(file)}"


def _model_file() -> Path:
    """The landmark model's file. Raises MissingError where the extra is not installed."""
    if find_spec("dlib") is None:
        raise MissingError("aligning a photograph needs dlib, which is not installed", _INSTALL)
    # Looked up, not imported: the package's own code wants setuptools' long-gone pkg_resources.
    spec = find_spec("face_recognition_models")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    file = Path(folders[0]) / "models" / _MODEL if folders else None
    if file is None or not file.is_file():
        raise MissingError(f"aligning a photograph needs {_MODEL}, which is not installed", _INSTALL)
    return file


def is_installed() -> bool:
    """Whether the extra `align` is here."""
    try:
        _model_file()
    except MissingError:
        return False
    return True


def find_faces(image: np.ndarray) -> list[Face]:
    """The faces of a uint8 (H, W, 3) RGB image, the largest first. Raises MissingError without the extra."""
    detector, predictor = _models()
    import dlib

    # A face of 40 px is found at this size; landmarks are then placed in the photograph itself.
    factor = max(1.0, max(image.shape[:2]) / DETECTION_SIDE)
    small = image if factor == 1 else _reduced(image, factor)
    faces = []
    for found in detector(small, 1):
        edges = [round(edge * factor) for edge in (found.left(), found.top(), found.right(), found.bottom())]
        box = dlib.rectangle(*edges)
        shape = predictor(image, box)
        points = np.array([(point.x, point.y) for point in shape.parts()], dtype=np.float64)
        faces.append(Face((edges[0], edges[1], edges[2], edges[3]), points))
    return sorted(faces, key=lambda face: -face.square.side)


def _reduced(image: np.ndarray, factor: float) -> np.ndarray:
    size = (round(image.shape[1] / factor), round(image.shape[0] / factor))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))


def choose(faces: Sequence[Face], name: str, number: int | None = None) -> Face:
    """One face of a photograph, `number` counted from 1, the largest first.

    Raises:
        ImageError: There is no face.
        UsageError: There are several and no choice was made, or the choice is none of them.
    """
    if not faces:
        raise ImageError(f"{name}: no face was found", "crop it by hand to a square around the face and add --no-align")
    if number is None and len(faces) > 1:
        sizes = ", ".join(f"{i}: {face.square.side / 2:.0f} px wide" for i, face in enumerate(faces, 1))
        raise UsageError(f"{name}: {len(faces)} faces were found ({sizes})", "choose one: --face 1")
    if number is not None and not 1 <= number <= len(faces):
        raise UsageError(
            f"{name}: there is no face {number}; {len(faces)} found", "--face counts from 1, largest first"
        )
    return faces[(number or 1) - 1]


def align(image: np.ndarray, size: int, name: str = "the image", face: int | None = None) -> np.ndarray:
    """FFHQ's aligned crop of a face as uint8 (size, size, 3), from a uint8 (H, W, 3) RGB photograph.

    Raises:
        ImageError: No face was found.
        UsageError: Several faces and no choice.
        MissingError: The extra `align` is not installed.
    """
    return cut(image, choose(find_faces(image), name, face).square, size)
