"""CelebA-HQ as the CelebAMask-HQ distribution lays it out, and any world exported in that layout (protocol card,
section 1.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bench.core.errors import MissingError
from bench.data.celeba_files import (
    ANNOTATIONS,
    MAPPING,
    PARTITION,
    Annotations,
    read_annotations,
    read_mapping,
    read_partition,
)
from bench.data.celeba_verify import SOURCE, verify
from bench.data.listing import Entry, Kind, Listing, image_files, is_number
from bench.data.scan import begin, called
from bench.data.splits import CELEBA_SIZE, CELEBAHQ_SIZE, SplitFace, celeba_part, celebahq_test

SPLITS = ("test", "val", "train", "all")
# What the folder that a distribution begins in has, or some of it.
MARKS = ("CelebA-HQ-img", "images256", ANNOTATIONS, MAPPING)
# Folders a distribution keeps its images in; the first group that has some counts.
_FOLDERS = (
    ("CelebA-HQ-img",),
    ("CelebAMask-HQ/CelebA-HQ-img",),
    ("images256",),
    ("test",),
    ("smile", "no_smile"),
    (".",),
)


@dataclass(frozen=True)
class Files:
    """The text files of a root, read; None for one that is not there.

    Attributes:
        paths: Where each is or would be, by its official name.
        annotations, originals, partition: Their contents (`celeba_files`).
        world: The root is a data set of its own in CelebA-HQ's layout: it brings a mapping and a partition, and neither
            has CelebA's size.
    """

    paths: Mapping[str, Path]
    annotations: Annotations | None
    originals: Mapping[int, int] | None
    partition: Mapping[int, str] | None

    @property
    def world(self) -> bool:
        """Whether the root is a data set of its own in CelebA-HQ's layout."""
        if self.originals is None or self.partition is None or len(self.partition) == CELEBA_SIZE:
            return False
        return abs(len(self.originals) - CELEBAHQ_SIZE) > 1

    def part(self, index: int) -> str | None:
        """Split of image `index`, or None when nothing here tells."""
        if self.originals is None:
            return "test" if index in _shipped() else None
        if index not in self.originals:
            raise MissingError(f"{self.paths[MAPPING]}: image {index} has no row")
        original = self.originals[index]
        if self.partition is None:
            return celeba_part(original)
        if original not in self.partition:
            fault = f"{original:06d}.jpg, the original of image {index}, has no row"
            raise MissingError(f"{self.paths[PARTITION]}: {fault}")
        return self.partition[original]

    def labels(self, index: int) -> dict[str, int]:
        """Labels of image `index`: the annotation file's, else the shipped Smiling label, else none."""
        if self.annotations is not None:
            if index not in self.annotations.rows:
                raise MissingError(f"{self.paths[ANNOTATIONS]}: image {index} has no row")
            return self.annotations.of(index)
        face = None if self.world else _shipped().get(index)
        return {"Smiling": face.smiling} if face else {}


def read_files(root: Path) -> Files:
    """Read and cross-check the text files of a root. Raises MissingError naming the file that is wrong."""
    found = {
        name: called(root, name) or called(root, f"CelebAMask-HQ/{name}") or root / name
        for name in (ANNOTATIONS, MAPPING, PARTITION)
    }
    files = Files(
        found,
        read_annotations(found[ANNOTATIONS]) if found[ANNOTATIONS].exists() else None,
        read_mapping(found[MAPPING]) if found[MAPPING].exists() else None,
        read_partition(found[PARTITION]) if found[PARTITION].exists() else None,
    )
    if not files.world:
        parts = {index: files.part(index) for index in files.originals or ()}
        verify(found, files.originals, parts, files.annotations)
    return files


def listing(root: Path, split: str) -> Listing:
    """Images of a split ("test", "val", "train") with their labels; "all" is every image the folder has.

    Names are CelebA-HQ's ("2.jpg") whatever the files are called: JPEG or PNG, padded with zeros, counted from 1, or
    called after their CelebA originals (six digits).
    """
    root = begin(root, MARKS)
    files = read_files(root)
    paths, naming = find_images(root, files)
    if split == "all":
        indices = sorted(paths)
    elif files.originals is not None:
        indices = [index for index in sorted(files.originals) if files.part(index) == split]
    elif split == "test":
        indices = [face.index for face in celebahq_test()]
    else:
        raise MissingError(f"{root}: the split {split!r} needs {MAPPING}", SOURCE)
    entries = [Entry(f"{index}.jpg", paths.get(index), files.labels(index)) for index in indices]
    return Listing(entries, [*naming, *_notes(files)])


def find_images(root: Path, files: Files) -> tuple[dict[int, Path], list[str]]:
    """CelebA-HQ number -> file, and notes on how the files were recognised.

    Raises MissingError for two files of one number.
    """
    found: list[Path] = []
    for group in _FOLDERS:
        folders = [path for folder in group if (path := called(root, folder))]
        found = [path for folder in folders for path in image_files(folder) if is_number(path.stem)]
        if found:
            break
    stems = {int(path.stem) for path in found}
    number_of, note = _naming(files, stems, found)
    paths: dict[int, Path] = {}
    for path in found:
        index = number_of.get(int(path.stem))
        if index is None:
            continue
        if index in paths:
            raise MissingError(f"image {index} is there twice: {paths[index]} and {path}", "keep one of them")
        paths[index] = path
    return paths, note


def _naming(files: Files, stems: set[int], found: list[Path]) -> tuple[dict[int, int], list[str]]:
    """Stem -> CelebA-HQ number by the naming the files use."""
    if not files.world and any(stem > CELEBAHQ_SIZE for stem in stems) and all(len(p.stem) == 6 for p in found):
        known = files.originals or {face.index: face.celeba for face in celebahq_test()}
        number_of = {original: index for index, original in known.items()}
        return number_of, ["files are called after their CelebA originals"]
    if not files.world and CELEBAHQ_SIZE in stems and 0 not in stems:
        return {stem: stem - 1 for stem in stems}, ["files count from 1"]
    return {stem: stem for stem in stems}, []


def _notes(files: Files) -> list[str]:
    if files.world:
        return ["a data set of its own in CelebA-HQ's layout"]
    notes = []
    if files.annotations is None:
        notes.append(f"no {ANNOTATIONS}: Smiling comes from the shipped split, other labels are unknown")
    if files.originals is None:
        notes.append(f"no {MAPPING}: the test split comes from the shipped list")
    return notes


@cache
def _shipped() -> dict[int, SplitFace]:
    return {face.index: face for face in celebahq_test()}


KINDS = (Kind("celebahq", "faces", SPLITS, SOURCE, listing, aliases=("celeba-hq",)),)
