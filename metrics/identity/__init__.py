"""Identity columns: how alike the persons on two images are, as the cosine of two embeddings.

The network is one choice, how the face gets to it another: `group_crop` (fixed crop, no detector), `mtcnn` (the
lineage's detector and fit) or `insightface`. Source: protocol card 3.4, identity card.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import torch
from torch import Tensor

from bench.core.errors import UsageError
from bench.core.schema import Bounds
from metrics.columns import Batch, Extractor, NoFace, Pair, Resources, kind

if TYPE_CHECKING:
    from methods.nets.irse import IRSEEmbedder

# uint8 (h, w, 3) -> (5, 2) landmarks in pixels, or None where there is no face.
Detector = Callable[[np.ndarray], np.ndarray | None]


@kind("identity")
@dataclass(frozen=True)
class Identity:
    """Identity similarity column, -1 to 1; higher is better.

    Attributes:
        network: "curricularface" (IR-101, the metric) or "arcface-irse50" (methods train on it: a diagnosis only).
        alignment: "group_crop", "mtcnn" or "insightface".
        softmax: For "mtcnn": its P-Net's score is normalised along the picture's "width" (as published) or over the two
            classes ("channel", as meant).
        fit: For the detectors: "lineage" (error in image pixels, mirrored-target quirk) or "umeyama" (error in the
            crop).
        detector_size: For "insightface": the side in pixels its detector looks at, a multiple of 32.
        threshold: For "insightface": smallest detection score.
    """

    network: Literal["curricularface", "arcface-irse50"]
    alignment: Literal["group_crop", "mtcnn", "insightface"]
    softmax: Literal["width", "channel"] = "width"
    fit: Literal["lineage", "umeyama"] = "lineage"
    detector_size: Annotated[int, Bounds(32, 4096)] = 256
    threshold: Annotated[float, Bounds(0, 1)] = 0.5

    def __post_init__(self) -> None:
        if self.detector_size % 32:
            raise UsageError(f"detector_size is {self.detector_size}, but must be a multiple of 32")

    def needs(self) -> tuple[str, ...]:
        """The embedding network, and the detector where one aligns."""
        detector = {"group_crop": (), "mtcnn": ("mtcnn",), "insightface": ("insightface-buffalo_l",)}[self.alignment]
        return (self.network, *detector)

    def prepare(self, resources: Resources) -> Pair:
        """Embeddings of aligned faces and their cosine; a `NoFace` where no face is found."""
        # Ask for every file before the first is read: a missing detector should cost no time.
        for name in self.needs():
            resources.path(name)
        return Pair(resources.features(self, lambda: self._extractor(resources)), _cosine)

    def _extractor(self, resources: Resources) -> Extractor:
        network = resources.shared(self.network, lambda: self._network(resources))
        if self.alignment == "group_crop":
            return lambda batch: _embed(network, _group_crops(batch))
        from .alignment import SIZE

        detect, fit = self._detector(resources), self._fit()

        def extract(batch: Batch) -> Sequence[Any]:
            crops = [_aligned(pixels, detect, fit) for pixels in batch.pixels]
            # A blank stands in for a face that was not found, so that an image's place in its batch, and with it the
            # last bit of its embedding, never depends on its neighbours.
            blank = torch.zeros(3, SIZE, SIZE)
            faces = torch.stack([blank if crop is None else crop for crop in crops])
            embeddings = _embed(network, faces.to(batch.device))
            return [
                NoFace("no face found") if crop is None else embedding
                for crop, embedding in zip(crops, embeddings, strict=True)
            ]

        return extract

    def _network(self, resources: Resources) -> IRSEEmbedder:
        from .networks import LOADERS

        return LOADERS[self.network](resources.path(self.network)).to(resources.device)

    def _detector(self, resources: Resources) -> Detector:
        if self.alignment == "mtcnn":
            from .mtcnn import load_mtcnn

            return load_mtcnn(resources.path("mtcnn"), softmax=self.softmax).to(resources.device).landmarks
        from .insightface import load_detector

        return load_detector(resources.path("insightface-buffalo_l"), side=self.detector_size, threshold=self.threshold)

    def _fit(self) -> Callable[[np.ndarray], np.ndarray]:
        from . import alignment

        return alignment.lineage_fit if self.fit == "lineage" else alignment.umeyama_fit


def _cosine(generated: Sequence[np.ndarray], original: Sequence[np.ndarray]) -> list[float]:
    return [float(a.astype(np.float64) @ b.astype(np.float64)) for a, b in zip(generated, original, strict=True)]


def _embed(network: IRSEEmbedder, crops: Tensor) -> Sequence[np.ndarray]:
    return list(network(crops).float().cpu().numpy())


def _group_crops(batch: Batch) -> Tensor:
    from .alignment import group_crop, to_256

    if tuple(batch.signed.shape[2:]) == (256, 256):
        return group_crop(batch.signed)
    return group_crop(Batch([to_256(pixels) for pixels in batch.pixels], batch.device).signed)


def _aligned(pixels: np.ndarray, detect: Detector, fit: Callable[[np.ndarray], np.ndarray]) -> Tensor | None:
    from .alignment import to_signed, warp

    points = detect(pixels)
    return None if points is None else to_signed(warp(pixels, fit(points)))
