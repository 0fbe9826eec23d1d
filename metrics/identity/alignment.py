"""From an image to the 112x112 face the identity networks know: fixed crop, lineage fit, Umeyama fit.

Sources: identity card 2 (fit and its mirrored-target quirk), protocol card 3.4 (`group_crop`).
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

SIZE = 112
# Left eye, right eye, nose, left and right corner of the mouth, (x, y) in the 112x112 crop.
REFERENCE = np.array(
    [
        [38.29459953, 51.69630051],
        [73.53179932, 51.50139999],
        [56.02519989, 71.73660278],
        [41.54930115, 92.3655014],
        [70.72990036, 92.20410156],
    ],
    dtype=np.float32,
).astype(np.float64)
# Rows and columns of a 256-px FFHQ-aligned image that hold the face.
_CROP_ROWS, _CROP_COLUMNS = slice(35, 223), slice(32, 220)


def group_crop(images: Tensor) -> Tensor:
    """The fixed crop of aligned 256-px images: float32 (N, 3, 256, 256) -> (N, 3, 112, 112), same range.

    Rows 35..222 and columns 32..219, adaptive average pool. No detector: every image has one. The training losses of
    pSp's family use the same crop.
    """
    return F.adaptive_avg_pool2d(images[..., _CROP_ROWS, _CROP_COLUMNS], SIZE)


def to_256(pixels: np.ndarray) -> np.ndarray:
    """uint8 (h, w, 3) -> (256, 256, 3) by PIL bilinear; unchanged when it has that size."""
    if pixels.shape[:2] == (256, 256):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((256, 256), Image.Resampling.BILINEAR))


def lineage_fit(points: np.ndarray) -> np.ndarray:
    """The 2x3 matrix from image to crop that the MTCNN scripts use, for (5, 2) landmarks in image pixels.

    Least squares runs from the crop to the image (error in image pixels) and is inverted. A mirrored fit is tried
    too; both are judged against reference points whose x was negated on the way, so strong profiles get the mirrored
    one: a quirk of the published numbers, kept.
    """
    # Points are rounded to float32 before the fit, the reference points too: it moves the published matrices by 1e-5.
    points = points.astype(np.float32).astype(np.float64)
    mirrored_reference = REFERENCE * (-1, 1)
    plain = _inverse_fit(points, REFERENCE)
    mirrored = np.diag([-1.0, 1.0, 1.0]) @ _inverse_fit(points, mirrored_reference)
    chosen = (
        plain if _miss(plain, points, mirrored_reference) <= _miss(mirrored, points, mirrored_reference) else mirrored
    )
    return chosen[:2]


def umeyama_fit(points: np.ndarray) -> np.ndarray:
    """The 2x3 matrix from image to crop by Umeyama's closed form (error in crop pixels), as insightface aligns."""
    from skimage.transform import SimilarityTransform

    return np.asarray(SimilarityTransform.from_estimate(points, REFERENCE).params[:2])


def warp(pixels: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """uint8 (h, w, 3) -> aligned uint8 (112, 112, 3): OpenCV's bilinear warp, black outside."""
    import cv2

    return np.asarray(cv2.warpAffine(pixels, matrix, (SIZE, SIZE)))


def to_signed(crop: np.ndarray) -> Tensor:
    """uint8 (112, 112, 3) -> float32 (3, 112, 112) in [-1, 1], as the identity networks take it."""
    return (torch.from_numpy(crop).permute(2, 0, 1).float() / 255 - 0.5) / 0.5


def _inverse_fit(points: np.ndarray, target: np.ndarray) -> np.ndarray:
    """3x3 similarity image -> target: the inverse of the least-squares one target -> image."""
    x, y = target[:, 0], target[:, 1]
    one, zero = np.ones_like(x), np.zeros_like(x)
    rows = np.concatenate([np.stack([x, y, one, zero], axis=1), np.stack([y, -x, zero, one], axis=1)])
    a, b, tx, ty = np.linalg.lstsq(rows, np.concatenate([points[:, 0], points[:, 1]]), rcond=None)[0]
    return np.linalg.inv(np.array([[a, b, tx], [-b, a, ty], [0.0, 0.0, 1.0]]))


def _miss(matrix: np.ndarray, points: np.ndarray, target: np.ndarray) -> float:
    mapped = points @ matrix[:2, :2].T + matrix[:2, 2]
    return float(np.linalg.norm(mapped - target))
