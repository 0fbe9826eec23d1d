"""The detector with its real weights on real photographs, where they lie beside the repository."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from metrics.identity.alignment import REFERENCE, lineage_fit
from metrics.identity.mtcnn import Mtcnn, load_mtcnn

SHARED = Path(__file__).parents[3].parent / "shared" / "data"
PHOTOS = sorted((SHARED / "celebahq" / "CelebA-HQ-img").glob("*.jpg")) if SHARED.is_dir() else []

pytestmark = pytest.mark.skipif(
    not PHOTOS, reason="real photographs and detector weights are not beside the repository"
)


@pytest.fixture(scope="module")
def detector() -> Mtcnn:
    return load_mtcnn(SHARED / "mtcnn")


def photo(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((256, 256), Image.Resampling.BICUBIC))


def test_black_image_passes_the_first_stage_only(detector: Mtcnn) -> None:
    """The width soft-max lets boxes of the smallest levels through whatever is in them: seven on black."""
    black = np.zeros((256, 256, 3), np.uint8)
    assert len(detector._proposals(black)) == 7
    assert detector.landmarks(black) is None


@pytest.mark.parametrize("path", PHOTOS[:6], ids=lambda path: path.stem)
def test_landmarks_of_aligned_photographs(detector: Mtcnn, path: Path) -> None:
    """Eyes, nose and mouth lie where FFHQ alignment puts them, and the fit brings them to the reference points."""
    points = detector.landmarks(photo(path))
    assert points is not None
    left_eye, right_eye, nose, left_mouth, right_mouth = points
    assert left_eye[0] < nose[0] + 15
    assert right_eye[0] > nose[0] - 15
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])
    assert 90 < left_eye[1] < 140
    matrix = lineage_fit(points)
    mapped = points @ matrix[:, :2].T + matrix[:, 2]
    assert np.abs(mapped - REFERENCE).max() < 12
