"""MTCNN face detector as the lineage's identity script runs it: three small networks and the steps between them.

Official tensor names, weights from three `.npy` files that each hold a pickled dictionary (read without running
anything). The published identity numbers contain this detector's crops, so its quirks are kept: P-Net's soft-max runs
along the width of the image, cutting clips the boxes for good, the first face is the most confident one. Source:
identity card 2.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from bench.core.checkpoint import load_strict

from .boxes import clip_and_pad, corrected, suppress, to_square
from .npy import read_arrays

_SMALLEST_FACE, _CELL, _FACTOR = 20, 12, 0.707
_THRESHOLDS = (0.15, 0.25, 0.35)
_OVERLAPS = (0.7, 0.7, 0.7)
_OVERLAP_IN_SCALE = 0.5


class _Flatten(nn.Module):
    """Flatten in the order (C, W, H): the weights come from a column-major framework."""

    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(2, 3).flatten(1)


def _features(*layers: tuple[str, nn.Module]) -> nn.Sequential:
    return nn.Sequential(OrderedDict(layers))


class PNet(nn.Module):
    """Proposals: (N, 3, h, w) -> offsets (N, 4, h', w') and scores (N, 2, h', w'), soft-maxed over `axis`."""

    def __init__(self, axis: int = -1) -> None:
        super().__init__()
        self.axis = axis
        self.features = _features(
            ("conv1", nn.Conv2d(3, 10, 3)), ("prelu1", nn.PReLU(10)), ("pool1", nn.MaxPool2d(2, 2, ceil_mode=True)),
            ("conv2", nn.Conv2d(10, 16, 3)), ("prelu2", nn.PReLU(16)),
            ("conv3", nn.Conv2d(16, 32, 3)), ("prelu3", nn.PReLU(32)),
        )  # fmt: skip
        self.conv4_1 = nn.Conv2d(32, 2, 1)
        self.conv4_2 = nn.Conv2d(32, 4, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, h, w) -> box offsets (N, 4, h', w') and face probabilities (N, 2, h', w')."""
        x = self.features(x)
        return self.conv4_2(x), self.conv4_1(x).softmax(dim=self.axis)


class RNet(nn.Module):
    """Refinement: (N, 3, 24, 24) -> offsets (N, 4) and scores (N, 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = _features(
            ("conv1", nn.Conv2d(3, 28, 3)), ("prelu1", nn.PReLU(28)), ("pool1", nn.MaxPool2d(3, 2, ceil_mode=True)),
            ("conv2", nn.Conv2d(28, 48, 3)), ("prelu2", nn.PReLU(48)), ("pool2", nn.MaxPool2d(3, 2, ceil_mode=True)),
            ("conv3", nn.Conv2d(48, 64, 2)), ("prelu3", nn.PReLU(64)),
            ("flatten", _Flatten()), ("conv4", nn.Linear(576, 128)), ("prelu4", nn.PReLU(128)),
        )  # fmt: skip
        self.conv5_1 = nn.Linear(128, 2)
        self.conv5_2 = nn.Linear(128, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Crops (N, 3, 24, 24) -> box offsets (N, 4) and face probabilities (N, 2)."""
        x = self.features(x)
        return self.conv5_2(x), self.conv5_1(x).softmax(dim=-1)


class ONet(nn.Module):
    """Output: (N, 3, 48, 48) -> landmarks (N, 10), offsets (N, 4) and scores (N, 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = _features(
            ("conv1", nn.Conv2d(3, 32, 3)), ("prelu1", nn.PReLU(32)), ("pool1", nn.MaxPool2d(3, 2, ceil_mode=True)),
            ("conv2", nn.Conv2d(32, 64, 3)), ("prelu2", nn.PReLU(64)), ("pool2", nn.MaxPool2d(3, 2, ceil_mode=True)),
            ("conv3", nn.Conv2d(64, 64, 3)), ("prelu3", nn.PReLU(64)), ("pool3", nn.MaxPool2d(2, 2, ceil_mode=True)),
            ("conv4", nn.Conv2d(64, 128, 2)), ("prelu4", nn.PReLU(128)),
            ("flatten", _Flatten()), ("conv5", nn.Linear(1152, 256)), ("prelu5", nn.PReLU(256)),
        )  # fmt: skip
        self.conv6_1 = nn.Linear(256, 2)
        self.conv6_2 = nn.Linear(256, 4)
        self.conv6_3 = nn.Linear(256, 10)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Crops (N, 3, 48, 48) -> landmarks (N, 10), box offsets (N, 4) and face probabilities (N, 2)."""
        x = self.features(x)
        return self.conv6_3(x), self.conv6_2(x), self.conv6_1(x).softmax(dim=-1)


class Mtcnn(nn.Module):
    """The detector. `softmax` "width" is the published behaviour, "channel" the intended one."""

    def __init__(self, softmax: str = "width") -> None:
        super().__init__()
        self.pnet = PNet(axis=-1 if softmax == "width" else 1)
        self.rnet = RNet()
        self.onet = ONet()

    @torch.inference_mode()
    def landmarks(self, pixels: np.ndarray) -> np.ndarray | None:
        """(5, 2) landmarks (x, y) in pixels of the most confident face of uint8 (h, w, 3), or None without a face.

        Order: left eye, right eye, nose, left and right corner of the mouth (left as seen in the image).
        """
        boxes = self._proposals(pixels)
        if len(boxes):
            boxes = self._refined(pixels, boxes)
        return self._points(pixels, boxes) if len(boxes) else None

    def _proposals(self, pixels: np.ndarray) -> np.ndarray:
        """Step 1: float64 (n, 5) boxes (x1, y1, x2, y2, score) from P-Net over the pyramid."""
        image = Image.fromarray(pixels)
        found = [self._at_scale(image, scale) for scale in _scales(image.size)]
        boxes = np.concatenate(found) if found else np.empty((0, 9))
        boxes = boxes[suppress(boxes, _OVERLAPS[0])]
        return np.round(to_square(corrected(boxes[:, :5], boxes[:, 5:]))) if len(boxes) else boxes[:, :5]

    def _at_scale(self, image: Image.Image, scale: float) -> np.ndarray:
        """(n, 9): boxes in image pixels, score, four offsets."""
        size = int(np.ceil(image.width * scale)), int(np.ceil(image.height * scale))
        small = np.asarray(image.resize(size, Image.Resampling.BILINEAR))
        offsets, scores = self.pnet(self._input(small[None]))
        score, offset = scores[0, 1].cpu().numpy(), offsets[0].cpu().numpy()
        rows, columns = np.nonzero(score > _THRESHOLDS[0])
        corners = [2 * columns + 1, 2 * rows + 1, 2 * columns + 1 + _CELL, 2 * rows + 1 + _CELL]
        boxes = np.round(np.stack(corners, axis=1) / scale).reshape(-1, 4)
        cells = np.concatenate([boxes, score[rows, columns][:, None], offset[:, rows, columns].T], axis=1)
        return cells[suppress(cells, _OVERLAP_IN_SCALE)]

    def _refined(self, pixels: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        """Step 2: the boxes R-Net keeps, moved by its offsets."""
        boxes, crops = _cut(pixels, boxes, 24)
        offsets, scores = (out.cpu().numpy() for out in self.rnet(self._input(crops)))
        kept = scores[:, 1] > _THRESHOLDS[1]
        boxes, offsets = boxes[kept], offsets[kept]
        boxes[:, 4] = scores[kept, 1]
        order = suppress(boxes, _OVERLAPS[1])
        return np.round(to_square(corrected(boxes[order], offsets[order]))) if len(order) else boxes[:0]

    def _points(self, pixels: np.ndarray, boxes: np.ndarray) -> np.ndarray | None:
        """Step 3: O-Net's landmarks of the best box."""
        boxes, crops = _cut(pixels, boxes, 48)
        points, offsets, scores = (out.cpu().numpy() for out in self.onet(self._input(crops)))
        kept = scores[:, 1] > _THRESHOLDS[2]
        boxes, points, offsets = boxes[kept], points[kept].astype(np.float64), offsets[kept]
        boxes[:, 4] = scores[kept, 1]
        width, height = boxes[:, 2] - boxes[:, 0] + 1, boxes[:, 3] - boxes[:, 1] + 1
        x = boxes[:, :1] + width[:, None] * points[:, :5]
        y = boxes[:, 1:2] + height[:, None] * points[:, 5:]
        order = suppress(corrected(boxes, offsets), _OVERLAPS[2], smaller=True)
        return np.stack([x[order[0]], y[order[0]]], axis=1) if len(order) else None

    def _input(self, images: np.ndarray) -> Tensor:
        # A copy: images from PIL are read-only.
        tensor = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float()
        return ((tensor - 127.5) * 0.0078125).to(self.pnet.conv4_1.weight.device)


def load_mtcnn(path: str | Path, softmax: str = "width") -> Mtcnn:
    """The detector with the weights in `path`: a folder or archive of pnet.npy, rnet.npy and onet.npy, or one of them.

    Raises:
        MissingError: A file is not there, asks for code, or holds other tensors.
    """
    network = Mtcnn(softmax)
    files: Mapping[str, Mapping[str, np.ndarray]] = read_arrays(Path(path), ("pnet", "rnet", "onet"))
    for name, part in (("pnet", network.pnet), ("rnet", network.rnet), ("onet", network.onet)):
        tensors = {key: torch.from_numpy(np.array(value)) for key, value in files[name].items()}
        load_strict(part, tensors, f"{name}.npy of {path}")
    network.requires_grad_(False)
    return network.eval()


def _scales(size: tuple[int, int]) -> list[float]:
    """Pyramid scales at which the smallest face fits P-Net's 12-px cell."""
    first = _CELL / _SMALLEST_FACE
    side = min(size) * first
    scales: list[float] = []
    while side > _CELL:
        scales.append(first * _FACTOR ** len(scales))
        side *= _FACTOR
    return scales


def _cut(pixels: np.ndarray, boxes: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """(clipped boxes, uint8 (n, side, side, 3) crops of the unclipped ones, black outside the image)."""
    clipped, crops = clip_and_pad(pixels, boxes)
    resized = [np.asarray(Image.fromarray(crop).resize((side, side), Image.Resampling.BILINEAR)) for crop in crops]
    return clipped, np.stack(resized)
