"""CelebA-HQ's own files held against the shipped split: which file is wrong, and how (protocol card, section 1.1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.core.errors import MissingError
from bench.data.celeba_files import ANNOTATIONS, MAPPING, PARTITION, Annotations
from bench.data.splits import CELEBAHQ_SIZE, CHECKSUMS, SplitFace, celebahq_test, checksum

SOURCE = (
    "CelebA-HQ comes with CelebAMask-HQ (github.com/switchablenorms/CelebAMask-HQ, non-commercial research use): "
    f"CelebA-HQ-img/, {ANNOTATIONS} and {MAPPING} in one folder"
)
_REPAIR = f"take the file from the distribution again, or remove it to use the shipped split. {SOURCE}"


def verify(
    paths: Mapping[str, Path],
    originals: Mapping[int, int] | None,
    parts: Mapping[int, str | None],
    annotations: Annotations | None,
) -> None:
    """Check mapping, partition and labels of CelebA-HQ itself.

    Args:
        paths: Where each text file is, by its official name; for the message.
        originals: Mapping file: image -> CelebA number (1-based); None when absent.
        parts: Image -> split, by mapping and partition.
        annotations: Attribute file; None when absent.

    Raises MissingError naming the file and the fault: shifted by one row, numbers off by one, other rows.
    """
    if originals is not None:
        _mapping(paths[MAPPING], originals)
        names = [f"{index}.jpg" for index in sorted(originals) if parts[index] == "test"]
        if len(originals) == CELEBAHQ_SIZE and checksum(names) != CHECKSUMS["test"]:
            fault = f"gives {len(names)} test images with checksum {checksum(names)}, expected {CHECKSUMS['test']}"
            raise MissingError(f"{paths[PARTITION]}: {fault}", "remove the file; the rule by image number replaces it")
    if annotations is not None:
        column = annotations.names.index("Smiling")
        values = annotations.values[:, column].tolist()
        _labels(paths[ANNOTATIONS], {index: values[row] for index, row in annotations.rows.items()})


def _mapping(path: Path, originals: Mapping[int, int]) -> None:
    shipped = celebahq_test()
    known = [face for face in shipped if face.index in originals]
    wrong = [face for face in known if originals[face.index] != face.celeba]
    if wrong:
        shift = _shift(known, lambda face, step: originals.get(face.index + step) == face.celeba)
        if shift:
            row = f"row {100 + shift} holds the entry of image 100"
            fault = f"is shifted by one: {row}; the test split's checksum does not come out"
            raise MissingError(f"{path}: {fault}", _REPAIR)
        offset = _shift(known, lambda face, step: originals[face.index] == face.celeba + step)
        if offset:
            size = "high" if offset > 0 else "low"
            raise MissingError(f"{path}: is shifted by one: every original's number is 1 too {size}", _REPAIR)
        fault = f"not CelebA-HQ's mapping: {len(wrong)} test rows differ, first image {wrong[0].index}"
        raise MissingError(f"{path}: {fault}", _REPAIR)
    if 0.9 * CELEBAHQ_SIZE < len(originals) != CELEBAHQ_SIZE:
        raise MissingError(f"{path}: has {len(originals)} rows, CelebA-HQ has {CELEBAHQ_SIZE}", _REPAIR)


def _labels(path: Path, smiling: Mapping[int, int]) -> None:
    known = [face for face in celebahq_test() if face.index in smiling]
    wrong = [face for face in known if smiling[face.index] != face.smiling]
    if not wrong:
        return
    shift = _shift(known, lambda face, step: smiling.get(face.index + step) == face.smiling)
    if shift:
        row = f"row {100 + shift} holds the labels of image 100"
        raise MissingError(f"{path}: is shifted by one: {row}; the smiling checksum does not come out", _REPAIR)
    found = checksum(face.name for face in known if smiling[face.index] == 1)
    fault = f"{len(wrong)} Smiling labels are not CelebA-HQ's, first image {wrong[0].index}"
    raise MissingError(f"{path}: {fault}; checksum {found}, expected {CHECKSUMS['smiling']}", _REPAIR)


def _shift(known: Sequence[SplitFace], agrees: Callable[[SplitFace, int], bool]) -> int:
    """The step (-1 or 1) at which nearly all rows agree with the shipped split, else 0."""
    for step in (-1, 1):
        if sum(agrees(face, step) for face in known) > 0.95 * len(known):
            return step
    return 0
