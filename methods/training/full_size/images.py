"""Training images from a folder or a zip, decoded by threads ahead of the step that wants them.

Every image is seen once an epoch, in an order that seed and epoch decide; so a step's batch is the same after a
resume, on every device and with any number of workers.
"""

from __future__ import annotations

import hashlib
import sys
import zipfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bench.core.archives import read_member, zip_members
from bench.core.errors import ImageError, MissingError
from bench.data.images import MAX_BYTES, SUFFIXES, decode_bytes, read_bytes
from bench.data.listing import pictures_below
from methods.training.processes import Processes

AHEAD = 3  # steps


@dataclass(frozen=True)
class Archive:
    """Names of images and how one's bytes are read."""

    names: Sequence[str]
    read: Callable[[str], bytes]


def open_images(path: Path) -> Archive:
    """The images of a folder (everything below it) or a zip. Raises MissingError where there are none."""
    if path.is_dir():
        found = pictures_below(path)
        archive = Archive(sorted(found), lambda name: read_bytes(found[name]))
    else:
        archive = _zip(path)
    if not archive.names:
        raise MissingError(f"{path} holds no images", f"it should hold files like {', '.join(sorted(SUFFIXES)[:3])}")
    return archive


def _zip(path: Path) -> Archive:
    try:
        # Every member is bounded where it is read.
        members = {item.filename: item for item in zip_members(path, most_bytes=1 << 50)}
        file = zipfile.ZipFile(path)
    except (MissingError, OSError) as error:
        what = getattr(error, "what", error)
        raise MissingError(f"{path} is no folder and no zip of images ({what})", "--data FOLDER_OR_ZIP") from None

    def read(name: str) -> bytes:
        try:
            return read_member(file, members[name], MAX_BYTES)
        except zipfile.BadZipFile as error:
            raise ImageError(f"{name} of {path}: {error}") from None

    return Archive(sorted(filter(_is_image, members)), read)


def _is_image(member: str) -> bool:
    """Whether a zip's member is called as an image, and is none of the system's notes beside one."""
    path = PurePosixPath(member)
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
    return path.suffix.lower() in SUFFIXES and not hidden


class TrainingImages:
    """Batches of training images, and the images kept from training.

    Args:
        path: Folder or zip.
        size: (height, width) of the batches' images.
        batch: Images a step, of all processes together.
        held_out: Images kept from training, spread over the names; at most a tenth, without those that cannot be read.
        workers: Threads.
    """

    def __init__(
        self, path: Path, size: tuple[int, int], batch: int, seed: int, *, held_out: int, workers: int
    ) -> None:
        self.archive, self.size, self.batch, self.seed = open_images(path), size, batch, seed
        names = list(self.archive.names)
        count = min(held_out, len(names) // 10)
        kept = [names[index * len(names) // count] for index in range(count)]
        self.names = sorted(set(names) - set(kept))
        self._threads = ThreadPoolExecutor(workers, "pictures")
        self._ahead: dict[int, list[Future[np.ndarray]]] = {}
        self._told: set[str] = set()
        # Looked at now: a check that finds one damaged would end a training of days.
        readable = self._threads.map(self._is_readable, kept)
        self.held_out = [name for name, good in zip(kept, readable, strict=True) if good]

    @property
    def digest(self) -> str:
        """SHA-256 of the names of all images: with others, the batches are others."""
        return hashlib.sha256("\n".join(self.archive.names).encode(errors="surrogateescape")).hexdigest()

    def step(self, step: int, processes: Processes) -> Tensor:
        """This process's images of a step, uint8 (n, 3, height, width)."""
        for coming in range(step, step + AHEAD + 1):
            if coming not in self._ahead:
                places = self._places(coming)[processes.rank :: processes.count]
                self._ahead[coming] = [self._threads.submit(self._image, place) for place in places]
        pixels = _stacked(future.result() for future in self._ahead.pop(step))
        for stale in [known for known in self._ahead if known < step]:
            del self._ahead[stale]
        return pixels

    def kept(self, start: int, stop: int) -> Tensor:
        """Held-out images, uint8 (n, 3, height, width)."""
        return _stacked(self._threads.map(self._decoded, self.held_out[start:stop]))

    def _places(self, step: int) -> list[tuple[int, int]]:
        """(epoch, place in it) of a global batch."""
        return [divmod(step * self.batch + index, len(self.names)) for index in range(self.batch)]

    def _image(self, place: tuple[int, int]) -> np.ndarray:
        epoch, index = place
        order = _order(len(self.names), self.seed, epoch)
        # A damaged image must not end a training of days: the next good one takes its place, and it is said once.
        for offset in range(len(order)):
            name = self.names[order[(index + offset) % len(order)]]
            try:
                return self._decoded(name)
            except ImageError as error:
                self._tell(name, f"left out of training: {error.what}")
        raise MissingError("none of the training images can be read", "check --data")

    def _is_readable(self, name: str) -> bool:
        try:
            self._decoded(name)
        except ImageError as error:
            self._tell(name, f"left out of the held-out images: {error.what}")
            return False
        return True

    def _tell(self, about: str, text: str) -> None:
        """Say something once."""
        if about not in self._told:
            self._told.add(about)
            print(f"note: {text}", file=sys.stderr)

    def _decoded(self, name: str) -> np.ndarray:
        pixels = decode_bytes(self.archive.read(name), name)
        height, width = self.size
        if pixels.shape[:2] == (height, width):
            return pixels
        if height == width and pixels.shape[0] != pixels.shape[1]:
            shown = f"{pixels.shape[1]}x{pixels.shape[0]} pixels, and not the only one perhaps"
            self._tell("squashed", f"pictures that are not square are squashed: {name} has {shown}")
        whole = pixels.shape[0] % height == 0 and pixels.shape[1] % width == 0
        # Means of whole blocks are what halving step by step gives; other sizes get an antialiased filter.
        filter_ = Image.Resampling.BOX if whole else Image.Resampling.BILINEAR
        return np.asarray(Image.fromarray(pixels).resize((width, height), filter_))


@lru_cache(maxsize=2)
def _order(count: int, seed: int, epoch: int) -> list[int]:
    random = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    order: list[int] = torch.randperm(count, generator=random).tolist()
    return order


def _stacked(images: Iterable[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(list(images))).permute(0, 3, 1, 2)
