"""The first few inputs and outputs as PNG, for the grids of the report."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from bench.core.contract import EditPass, ImageRecord
from bench.core.files import write_atomic
from bench.core.names import kept_as
from bench.core.observer import Observer
from bench.results.row import TRUTH


def sample_path(run: Path, method: str, pass_name: str, image: str) -> Path:
    """Where a run keeps an image that a method made in a pass: "pictures/warpres/smile+/2.png"."""
    return run / "pictures" / method / pass_name / f"{kept_as(image)}.png"


def sampled(images: Sequence[ImageRecord], count: int) -> frozenset[int]:
    """Places of the first `count` images; of those that would have one name ("2.jpg" and "2.png") the first alone."""
    return frozenset({kept_as(images[at].name): at for at in reversed(range(min(count, len(images))))}.values())


def flow_path(image: Path) -> Path:
    """Where the flow of a sample image lies."""
    return image.with_suffix(".flow.npy")


class SampleImages:
    """Keeps images below `run/pictures/<method>/<pass>/<image>.png`, written before the row that they belong to.

    The method "real" has the pass "original"; "truth" has true edits as they were asked for. Flows lie beside the
    images as `<image>.flow.npy`, float32 (2, h, w) in cells.
    """

    def __init__(
        self, run: Path, images: Sequence[ImageRecord], count: int, observers: Sequence[Observer] = ()
    ) -> None:
        self.run, self.images, self.observers = run, images, observers
        self.sampled = sampled(images, count)

    def real(self, index: int, pixels: np.ndarray) -> None:
        """Keep a real image, uint8 (h, w, 3), where it is one of the first."""
        if index in self.sampled:
            self._write(self._path("real", "original", index), pixels)

    def edited(
        self, index: int, method: str, edit: EditPass, pixels: np.ndarray, announced: Mapping[str, np.ndarray]
    ) -> None:
        """Keep an edited image, uint8 (h, w, 3), and an announced flow (2, h, w) beside it."""
        if index not in self.sampled:
            return
        path = self._path(method, edit.pass_name, index)
        self._write(path, pixels)
        if "flow" in announced:
            _write_flow(path, announced["flow"])

    def asked(self, index: int, edit: EditPass, pixels: np.ndarray) -> None:
        """The true edit as it was asked for, and its flow."""
        if index not in self.sampled:
            return
        path = self._path(TRUTH, edit.pass_name, index)
        self._write(path, pixels)
        for observer in self.observers:
            flow = observer.asked_flow(self.images[index], edit)
            if flow is not None:
                _write_flow(path, flow)

    def _path(self, method: str, column: str, index: int) -> Path:
        return sample_path(self.run, method, column, self.images[index].name)

    def _write(self, path: Path, pixels: np.ndarray) -> None:
        from PIL import Image

        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        write_atomic(path, buffer.getvalue(), sync=False)


def _write_flow(image: Path, flow: np.ndarray) -> None:
    buffer = io.BytesIO()
    np.save(buffer, flow.astype(np.float32))
    write_atomic(flow_path(image), buffer.getvalue(), sync=False)
