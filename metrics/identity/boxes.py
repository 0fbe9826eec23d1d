"""Box arithmetic of MTCNN: float64 (n, 5+) rows (x1, y1, x2, y2, score), edges inclusive, so a width is x2 - x1 + 1."""

from __future__ import annotations

import numpy as np


def suppress(boxes: np.ndarray, overlap: float, smaller: bool = False) -> list[int]:
    """Indices of the boxes kept, best score first: each drops those that overlap it by more than `overlap`.

    Overlap is intersection over union, or over the smaller area with `smaller`.
    """
    areas = (boxes[:, 2] - boxes[:, 0] + 1) * (boxes[:, 3] - boxes[:, 1] + 1)
    order = np.argsort(boxes[:, 4])
    kept: list[int] = []
    while len(order):
        best, order = int(order[-1]), order[:-1]
        kept.append(best)
        low = np.maximum(boxes[best, :2], boxes[order, :2])
        high = np.minimum(boxes[best, 2:4], boxes[order, 2:4])
        shared = np.maximum(high - low + 1, 0).prod(axis=1)
        whole = np.minimum(areas[best], areas[order]) if smaller else areas[best] + areas[order] - shared
        order = order[shared / whole <= overlap]
    return kept


def corrected(boxes: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Boxes moved by a network's offsets, given in widths and heights."""
    moved = boxes.copy()
    size = boxes[:, 2:4] - boxes[:, :2] + 1
    moved[:, :4] += np.concatenate([size, size], axis=1) * offsets
    return moved


def to_square(boxes: np.ndarray) -> np.ndarray:
    """Boxes made square about their centre, side = the longer one."""
    square = boxes.copy()
    size = boxes[:, 2:4] - boxes[:, :2] + 1
    side = size.max(axis=1, keepdims=True)
    square[:, :2] = boxes[:, :2] + size * 0.5 - side * 0.5
    square[:, 2:4] = square[:, :2] + side - 1
    return square


def clip_and_pad(pixels: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """(boxes clipped to the image, crops): crops have the unclipped size, black where the box leaves the image.

    The clipped boxes are what later steps must use: the published detector overwrites its boxes while cutting.
    """
    height, width = pixels.shape[:2]
    clipped = boxes.copy()
    clipped[:, :2] = np.maximum(boxes[:, :2], 0)
    clipped[:, 2] = np.minimum(boxes[:, 2], width - 1)
    clipped[:, 3] = np.minimum(boxes[:, 3], height - 1)
    crops = []
    for whole, inside in zip(boxes[:, :4].astype(int), clipped[:, :4].astype(int), strict=True):
        crop = np.zeros((max(whole[3] - whole[1] + 1, 1), max(whole[2] - whole[0] + 1, 1), 3), np.uint8)
        part = pixels[inside[1] : inside[3] + 1, inside[0] : inside[2] + 1]
        top, left = inside[1] - whole[1], inside[0] - whole[0]
        crop[top : top + part.shape[0], left : left + part.shape[1]] = part
        crops.append(crop)
    return clipped, crops
