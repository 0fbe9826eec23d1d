"""The test splits as data: names and labels, checked against the checksums of the protocol card (section 1.1).

`celebahq_test.csv` holds the facts of CelebA-HQ's official files that the tables need: the number of each test
image, the number of its CelebA original and its Smiling label. `python -m bench.data.splits ROOT` derives it again
from those files.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from bench.core.errors import MissingError

CELEBAHQ_SIZE = 30_000
CELEBA_SIZE = 202_599
# Image numbers of CelebA, 1-based: up to the first bound train, up to the second val, the rest test.
CELEBA_BOUNDS = (162_770, 182_637)
CARS_TRAIN, CARS_TEST = 8_144, 8_041

# zlib.crc32 of the names ("2.jpg", ...) in numeric order, joined by newlines.
CHECKSUMS = {"test": 2533920708, "smiling": 1406335188, "not smiling": 2952075451}
COUNTS = {"train": 24_183, "val": 2_993, "test": 2_824, "smiling": 1_339, "not smiling": 1_485}


@dataclass(frozen=True)
class SplitFace:
    """One CelebA-HQ test image: its number, its CelebA original's number (1-based) and its Smiling label (-1 or
    1).
    """

    index: int
    celeba: int
    smiling: int

    @property
    def name(self) -> str:
        """File name in CelebA-HQ, e.g. "2.jpg"."""
        return f"{self.index}.jpg"


def checksum(names: Iterable[str]) -> int:
    """zlib.crc32 of file names joined by newlines, in the order given."""
    return zlib.crc32("\n".join(names).encode())


def celeba_part(number: int) -> str:
    """Split of CelebA's image `number` (1-based): "train", "val" or "test"."""
    first, second = CELEBA_BOUNDS
    return "train" if number <= first else "val" if number <= second else "test"


@cache
def celebahq_test() -> tuple[SplitFace, ...]:
    """The 2,824 test images in numeric order. Raises MissingError when the shipped file is damaged."""
    lines = (files(__name__) / "celebahq_test.csv").read_text(encoding="utf-8").splitlines()
    faces = tuple(SplitFace(*map(int, line.split(","))) for line in lines[1:])
    wrong = mismatches(faces)
    if wrong:
        raise MissingError(f"the shipped split celebahq_test.csv is damaged: {wrong[0]}", "install the package again")
    return faces


def mismatches(faces: Iterable[SplitFace]) -> list[str]:
    """Checksums of the protocol card that a list of test images does not meet, one sentence each."""
    parts: dict[str, list[str]] = {"test": [], "smiling": [], "not smiling": []}
    for face in faces:
        parts["test"].append(face.name)
        parts["smiling" if face.smiling == 1 else "not smiling"].append(face.name)
    return [
        f"{len(names)} {part} names with checksum {checksum(names)}, expected {COUNTS[part]} with {CHECKSUMS[part]}"
        for part, names in parts.items()
        if checksum(names) != CHECKSUMS[part]
    ]


def to_csv(faces: Iterable[SplitFace]) -> str:
    """The text of `celebahq_test.csv` for these images."""
    rows = (f"{face.index},{face.celeba},{face.smiling}" for face in faces)
    return "\n".join(["index,celeba,Smiling", *rows]) + "\n"


def write(faces: Iterable[SplitFace], path: Path) -> None:
    """Write the split file after checking it. Raises MissingError when a checksum does not come out."""
    faces = tuple(faces)
    wrong = mismatches(faces)
    if wrong:
        raise MissingError(f"these are not CelebA-HQ's test images: {wrong[0]}")
    path.write_text(to_csv(faces), encoding="utf-8")


def cars_names(part: str) -> list[str]:
    """File names of Stanford Cars' folders cars_test ("00001.jpg" to "08041.jpg") or cars_train (to "08144.jpg")."""
    count = {"train": CARS_TRAIN, "test": CARS_TEST}[part]
    return [f"{number:05d}.jpg" for number in range(1, count + 1)]
