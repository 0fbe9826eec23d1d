"""Identity columns put together: crop or detector, fit, failures; with a toy embedder in the network's place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import metrics.identity.insightface
import metrics.identity.mtcnn
import metrics.identity.networks
from metrics.columns import Batch, NoFace, Pair, Resources
from metrics.identity import Identity
from metrics.identity.alignment import REFERENCE, group_crop
from tests.unit.metrics.reference import images_u8


class ToyEmbedder(nn.Module):
    """Unit vectors from 4x4 means; keeps the crops it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[Tensor] = []

    def forward(self, crops: Tensor) -> Tensor:
        assert crops.shape[1:] == (3, 112, 112)
        self.shown.append(crops)
        return F.normalize(F.adaptive_avg_pool2d(crops + 2, 4).flatten(1), dim=1)


class ToyDetector:
    """Finds a face filling every image that is not black."""

    def to(self, device: torch.device) -> ToyDetector:
        return self

    def landmarks(self, pixels: np.ndarray) -> np.ndarray | None:
        return REFERENCE * (len(pixels) / 112) if pixels.any() else None


@pytest.fixture
def embedder(monkeypatch: pytest.MonkeyPatch) -> ToyEmbedder:
    toy = ToyEmbedder()
    monkeypatch.setitem(metrics.identity.networks.LOADERS, "curricularface", lambda path: toy)
    monkeypatch.setattr(metrics.identity.mtcnn, "load_mtcnn", lambda path, softmax: ToyDetector())
    monkeypatch.setattr(
        metrics.identity.insightface, "load_detector", lambda path, side, threshold: ToyDetector().landmarks
    )
    return toy


def resources() -> Resources:
    return Resources("faces", torch.device("cpu"), lambda name: Path(name))


def extract(pair: Pair, used: Resources, images: list[np.ndarray]) -> list[object]:
    return list(used.extractors[pair.features](Batch(images, torch.device("cpu"))))


def test_fixed_crop_needs_no_detector(embedder: ToyEmbedder) -> None:
    used = resources()
    pair = Identity("curricularface", "group_crop").prepare(used)
    images = images_u8(0, 2, 256)
    first, second = extract(pair, used, images)
    assert set(used.used) == {"curricularface"}
    assert torch.equal(embedder.shown[0], group_crop(Batch(images, torch.device("cpu")).signed))
    assert pair.compare([first], [first])[0] == pytest.approx(1, abs=1e-6)
    assert pair.compare([first], [second])[0] < 0.9999


def test_fixed_crop_of_other_sizes_is_of_the_image_at_256(embedder: ToyEmbedder) -> None:
    used = resources()
    pair = Identity("curricularface", "group_crop").prepare(used)
    extract(pair, used, images_u8(0, 2, 256))
    extract(pair, used, images_u8(0, 2, 512))
    assert float((embedder.shown[0] - embedder.shown[1]).abs().max()) < 0.05


@pytest.mark.parametrize("alignment", ["mtcnn", "insightface"])
def test_detectors(embedder: ToyEmbedder, alignment: str) -> None:
    used = resources()
    pair = Identity("curricularface", alignment, fit="umeyama").prepare(used)  # type: ignore[arg-type]
    assert len(used.used) == 2
    face, black = images_u8(0, 1, 224)[0], np.zeros((224, 224, 3), np.uint8)
    found, lost, again = extract(pair, used, [face, black, face])
    assert lost == NoFace("no face found")
    assert pair.compare([found], [again])[0] == pytest.approx(1, abs=1e-6)
    # The detector's points are the reference's, at twice the size: the crop is the image at half of it.
    half = F.interpolate(Batch([face], torch.device("cpu")).signed, scale_factor=0.5, mode="bilinear")
    assert float((embedder.shown[0][:1] - half)[..., 2:-2, 2:-2].abs().max()) < 0.1


def test_columns_share_the_network_and_the_look(embedder: ToyEmbedder) -> None:
    used = resources()
    crop, again = Identity("curricularface", "group_crop"), Identity("curricularface", "group_crop")
    assert crop.prepare(used).features == again.prepare(used).features
    Identity("curricularface", "mtcnn").prepare(used)
    Identity("curricularface", "mtcnn", softmax="channel").prepare(used)
    assert len(used.extractors) == 3


def test_needs() -> None:
    assert Identity("curricularface", "mtcnn").needs() == ("curricularface", "mtcnn")
    assert Identity("arcface-irse50", "insightface").needs() == ("arcface-irse50", "insightface-buffalo_l")
