"""The world's people as training sees them: every image rendered once and kept as bytes.

On a CPU the images lie in one memory-mapped file under the runs' folder, drawn when first asked for and shared by
all processes; elsewhere they are resident on the device.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from bench.core.errors import MissingError
from bench.world.render import IMAGE_SIZE, render
from bench.world.scene import Scene
from bench.world.splits import people
from methods.training.processes import Processes

SHAPE = (3, IMAGE_SIZE, IMAGE_SIZE)
_CHUNK = 1024


class People:
    """All images of a split, uint8, each with its mirror image.

    Args:
        split: "train", "val" or "test".
        device: Where images are given out; off the CPU they are all kept there.
        runs: Folder of the cache file; None keeps the images in memory.
    """

    def __init__(self, split: str, device: torch.device | str = "cpu", runs: Path | None = None) -> None:
        self.scenes, self.device = people(split), torch.device(device)
        self._resident: Tensor | None = None
        if runs is None:
            self._pixels, self._there = np.zeros((len(self), *SHAPE), np.uint8), np.zeros(len(self), np.bool_)
            self._settle()
            return
        path = runs / f"people-{split}-{_version(self.scenes)}.u8"
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):  # of several processes on one GPU the first one draws
            self._pixels, self._there = _mapped(path, len(self))
            self._settle()

    def _settle(self) -> None:
        if self.device.type != "cpu":
            self._render_missing(np.arange(len(self)))
            self._resident = torch.from_numpy(np.array(self._pixels)).to(self.device)

    def __len__(self) -> int:
        return len(self.scenes)

    def draw(self, count: int, random: torch.Generator, processes: Processes | None = None) -> Tensor:
        """`count` random images, half of them mirrored; of several processes each gets its part (n, 3, 64, 64)."""
        indices = torch.randint(2 * len(self), (count,), generator=random)
        if processes is not None:
            indices = processes.part(indices)
        return self.images(indices)

    def images(self, indices: Tensor) -> Tensor:
        """Images float32 (n, 3, 64, 64) in [-1, 1] on the device.

        Args:
            indices: int64 (n,) on the CPU, in 0 .. 2 N - 1 for N people: index i + N is the mirror image of person i.
        """
        rows, mirrored = indices % len(self), indices >= len(self)
        pixels = self._bytes(rows).float() / 127.5 - 1
        return torch.where(mirrored.to(self.device, non_blocking=True)[:, None, None, None], pixels.flip(3), pixels)

    def _bytes(self, rows: Tensor) -> Tensor:
        if self._resident is not None:
            return self._resident[rows.to(self.device, non_blocking=True)]
        wanted = rows.numpy()
        self._render_missing(np.unique(wanted))
        return torch.from_numpy(self._pixels[wanted])

    def _render_missing(self, rows: np.ndarray) -> None:
        """Draw what is not there yet. Processes that draw the same image write the same bytes."""
        rows = rows[~self._there[rows]]
        for first in range(0, len(rows), _CHUNK):
            some = rows[first : first + _CHUNK]
            scenes = Scene(self.scenes.values[torch.from_numpy(some)]).to(self.device)
            self._pixels[some] = _to_bytes(render(scenes)).cpu().numpy()
            self._there[some] = True


def _to_bytes(images: Tensor) -> Tensor:
    """uint8 of images in [-1, 1], channels first, rounded to nearest."""
    return ((images.clamp(-1, 1) + 1) * 127.5 + 0.5).floor().to(torch.uint8)


def _version(scenes: Scene) -> str:
    """Digest of the scenes and of how the renderer draws some of them: another world has another file."""
    digest = hashlib.sha256(scenes.values.numpy().tobytes())
    digest.update(_to_bytes(render(scenes[:4])).numpy().tobytes())
    return digest.hexdigest()[:12]


def _mapped(path: Path, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Images (count, 3, 64, 64) and which are there (count,), both in one file that processes share."""
    images = count * int(np.prod(SHAPE))
    if not path.is_file() or path.stat().st_size != images + count:
        with path.open("wb") as file:
            file.truncate(images + count)  # zeros that take no room on the disk until written
    missing = path.stat().st_size - 512 * getattr(path.stat(), "st_blocks", 0)
    if missing > shutil.disk_usage(path.parent).free:
        # Writing to what is mapped would end the process without a word.
        raise MissingError(f"the disk is full: {path} needs {missing / 1e6:.0f} MB more", "free some, or another --out")
    pixels = np.memmap(path, np.uint8, "r+", 0, (count, *SHAPE))
    return pixels, np.memmap(path, np.bool_, "r+", images, (count,))
