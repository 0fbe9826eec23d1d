"""What a data set's reader finds under a folder, before an image is opened, and the `Dataset` made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import numpy as np

from bench.core.contract import Dataset, Domain, ImageRecord
from bench.core.errors import ImageError, MissingError
from bench.core.observer import Networks, Observer
from bench.data.images import FileImage, decode
from bench.data.scan import folders_below, folders_in, is_picture
from bench.data.splits import checksum


@dataclass(frozen=True)
class Entry:
    """One image a split expects: name, file (None when it is not there), labels, and camera where it is known."""

    name: str
    path: Path | None
    attributes: Mapping[str, int] = field(default_factory=dict)
    camera: tuple[float, ...] = ()


@dataclass(frozen=True)
class Listing:
    """The images of a split in order of evaluation, and in words what they were found by.

    Attributes:
        entries: In order; a missing file keeps its place.
        notes: Facts for people ("labels from the shipped split"), one line each.
        doubts: Things that look wrong but do not stop a run, one line each.
    """

    entries: Sequence[Entry]
    notes: Sequence[str] = ()
    doubts: Sequence[str] = ()

    @property
    def missing(self) -> list[str]:
        """Names without a file."""
        return [entry.name for entry in self.entries if entry.path is None]


@dataclass(frozen=True)
class Kind:
    """A kind of data set: what a module of this folder, or a plug-in, offers as `KINDS`.

    A kind of files has a `listing`; a kind that draws its images has `draw` and no folder.

    Attributes:
        name: Registry name ("celebahq").
        domain: "faces", "cars" or another domain's name.
        splits: Names of its splits; the first is the default of the tables.
        source: Where such data is to be had, in one or two sentences.
        listing: (root, split) -> Listing. Raises MissingError when a file contradicts what the data set is.
        aliases: Other names for it.
        draw: (split, limit) -> the data set.
        networks: (device) -> networks trained on it: protocols may measure with them, matched strengths do.
        observers: "module:function" of (device) -> observers of edited images, for data whose truth is known.
        validation: Split on which strengths are matched.
        weights: Folder of the checkpoints and directions that come with it, as a family of weights of its name.
        generator_size: Side of that family's generator.
        cameras: Whether its images say from where they were taken, as 3D methods need it.
        own: Whether any folder of images is such a data set.
        strict: Whether an image of another shape than the domain's is refused; else it is squashed, as the authors do.
    """

    name: str
    domain: Domain
    splits: tuple[str, ...]
    source: str
    listing: Callable[[Path, str], Listing] | None = None
    aliases: tuple[str, ...] = ()
    draw: Callable[[str, int | None], Dataset] | None = None
    networks: Callable[[str], Networks] | None = None
    observers: str = ""
    validation: str = ""
    weights: Path | None = None
    generator_size: int = 0
    cameras: bool = False
    own: bool = False
    strict: bool = False

    def observers_on(self, device: str) -> tuple[Observer, ...]:
        """The observers of its images, loaded; () for a kind that has none."""
        if not self.observers:
            return ()
        module, _, function = self.observers.partition(":")
        found: tuple[Observer, ...] = tuple(getattr(import_module(module), function)(device=device))
        return found


class FileDataset:
    """A `bench.core.contract.Dataset` of image files.

    Attributes:
        name, domain, images: As in the contract.
        checksum: zlib.crc32 of the names in order, the split's fingerprint.

    `aspect`: (height, width) that images must be in proportion to; None for any.
    """

    counted = True

    def __init__(
        self, name: str, domain: Domain, entries: Iterable[Entry], aspect: tuple[int, int] | None = None
    ) -> None:
        self.name = name
        self.domain = domain
        self._aspect = aspect
        self._paths: dict[str, Path] = {}
        self._cameras: dict[str, tuple[float, ...]] = {}
        images: list[ImageRecord] = []
        for entry in entries:
            if entry.path is None:
                raise MissingError(f"{name}: the file of {entry.name} is missing")
            self._paths[entry.name] = entry.path
            self._cameras[entry.name] = entry.camera
            images.append(FileImage(entry.name, entry.path, dict(entry.attributes), aspect))
        self.images: Sequence[ImageRecord] = tuple(images)
        self.checksum = checksum(image.name for image in images)

    @property
    def attributes(self) -> frozenset[str]:
        """Labels that every image has: what a subset expression may name."""
        return labels_of(self.images)

    def path(self, image: ImageRecord) -> Path:
        """The image's file. Raises ImageError for an image of another data set."""
        if image.name not in self._paths:
            raise ImageError(f"{image.name}: no image of {self.name}")
        return self._paths[image.name]

    def camera(self, image: ImageRecord) -> np.ndarray:
        """float32 (25,), from where an image was taken. Raises ImageError where it is not known."""
        found = self._cameras.get(image.name)
        if not found:
            raise ImageError(f"{image.name}: {self.name} does not say from where it was taken")
        return np.array(found, np.float32)

    def read(self, image: ImageRecord) -> np.ndarray:
        """Pixels as uint8 (H, W, 3) RGB. Raises ImageError when the file cannot be used."""
        return decode(self.path(image), self._aspect)


class ExpectedDataset:
    """A split that is not all here: names and labels as far as they are known, to plan with; nothing can be read.

    Attributes:
        name, domain, images: As in the contract.
        counted: Whether `images` are those of the split; without its folder nobody can tell, and there are none.
    """

    def __init__(self, name: str, domain: Domain, entries: Iterable[Entry] | None) -> None:
        self.name, self.domain, self.counted = name, domain, entries is not None
        self.images: Sequence[ImageRecord] = tuple(
            FileImage(entry.name, entry.path, dict(entry.attributes))
            if entry.path is not None
            else ImageRecord(entry.name, "", entry.attributes)
            for entry in entries or ()
        )

    def read(self, image: ImageRecord) -> np.ndarray:
        """Raises ImageError."""
        raise ImageError(f"{image.name}: the data set {self.name} is not all here")


def labels_of(images: Sequence[ImageRecord]) -> frozenset[str]:
    """Labels that every image has: what a subset expression may name."""
    names = [set(image.attributes) for image in images]
    return frozenset(set.intersection(*names)) if names else frozenset()


def image_files(folder: Path) -> list[Path]:
    """Image files directly in a folder, hidden ones left out, sorted by name; [] when it is no folder.

    A folder without any stands for the only one in it that has some: an archive unpacks into a folder of its own.
    """
    if not folder.is_dir():
        return []
    if found := pictures_in(folder):
        return found
    inner = [pictures for each in folders_in(folder) if (pictures := pictures_in(each))]
    return inner[0] if len(inner) == 1 else []


def pictures_below(root: Path) -> dict[str, Path]:
    """Image files at any depth by their path below `root`, with "/" between its parts."""
    return {path.relative_to(root).as_posix(): path for folder in folders_below(root) for path in pictures_in(folder)}


def pictures_in(folder: Path) -> list[Path]:
    """Image files directly in a folder that is there, hidden ones left out, sorted by name."""
    try:
        found = [path for path in folder.iterdir() if is_picture(path)]
    except OSError as error:
        raise MissingError(f"{folder}: cannot be listed ({error.strerror or error})") from error
    return sorted(found, key=lambda path: path.name)


def by_stem(paths: Iterable[Path], digits: int = 0) -> dict[str, Path]:
    """Files by their name without the suffix; of several the .jpg, else the first.

    `digits`: Names that are numbers are given so many: "1", "000001" and "00001" are one.
    """
    found: dict[str, Path] = {}
    for path in paths:
        stem = f"{int(path.stem):0{digits}d}" if digits and is_number(path.stem) else path.stem
        if stem not in found or path.suffix.lower() in (".jpg", ".jpeg"):
            found[stem] = path
    return found


def is_number(stem: str) -> bool:
    """Whether a name is a number as images are counted with; int() alone takes other scripts' digits too."""
    return stem.isascii() and stem.isdigit() and len(stem) < 20


def some(names: Sequence[str], count: int = 5) -> str:
    """The first few of many names, for a sentence."""
    head = ", ".join(names[:count])
    return f"{head}, ..." if len(names) > count else head
