"""Readers of the three text files of CelebA-HQ (protocol card, section 1.1).

Each accepts what is found in the wild (no header, no count line, commas or any white space) and refuses, with the
line, what would silently shift labels: a missing row, a duplicate, a header that does not fit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from bench.core.errors import MissingError
from bench.core.files import read_lines

ANNOTATIONS = "CelebAMask-HQ-attribute-anno.txt"
MAPPING = "CelebA-HQ-to-CelebA-mapping.txt"
PARTITION = "list_eval_partition.txt"
_LONGEST_NUMBER = 18
PARTS = {"0": "train", "1": "val", "2": "test"}


@dataclass(frozen=True)
class Annotations:
    """The attribute file: `values` is int8 (N, K) of -1 and 1, row `rows[i]` belongs to image i."""

    names: tuple[str, ...]
    rows: dict[int, int]
    values: np.ndarray

    def of(self, index: int) -> dict[str, int]:
        """All labels of image `index`."""
        return dict(zip(self.names, self.values[self.rows[index]].tolist(), strict=True))


def read_annotations(path: Path) -> Annotations:
    """Read CelebAMask-HQ-attribute-anno.txt or a file of its syntax: a count (optional), attribute names, then rows.

    Raises MissingError naming the line for a header that does not fit its rows, a value other than -1 and 1, a
    image listed twice, and a missing row.
    """
    lines = _lines(path)
    promised, names = _header(path, lines)
    rows: dict[int, int] = {}
    values: list[bytes] = []
    for place, (number, fields) in enumerate(lines):
        index = _index(path, number, fields[0])
        if index in rows:
            raise MissingError(f"{path}, line {number}: {fields[0]} is listed twice")
        if len(fields) != len(names) + 1:
            fault = f"the header names {len(names)} attributes, {fields[0]} has {len(fields) - 1} values"
            raise MissingError(f"{path}, line {number}: {fault}")
        rows[index] = place
        values.append(_labels(path, number, fields[1:]))
    _complete(path, sorted(rows), promised)
    if "Smiling" not in names:
        first = ", ".join(names[:3])
        raise MissingError(f"{path}: wrong header: no attribute is called Smiling, the first are {first}")
    found = np.frombuffer(b"".join(values), np.int8).reshape(len(values), len(names))
    return Annotations(names, rows, found)


def _header(path: Path, lines: Iterator[tuple[int, list[str]]]) -> tuple[int | None, tuple[str, ...]]:
    """The count of images, where there is one, and the attributes' names."""
    promised, (line, fields) = None, next(lines, (0, []))
    if len(fields) == 1 and (promised := _number(fields[0])) is not None:
        line, fields = next(lines, (0, []))
    if not fields or _number(fields[0]) is not None:
        raise MissingError(f"{path}: no header: the line with the attribute names is missing")
    if twice := next((name for name, count in Counter(fields).items() if count > 1), None):
        raise MissingError(f"{path}, line {line}: {twice} is named twice")
    return promised, tuple(fields)


def read_mapping(path: Path) -> dict[int, int]:
    """Read CelebA-HQ-to-CelebA-mapping.txt: image number -> number of its CelebA original (1-based).

    The header `idx orig_idx orig_file` may be there or not. Raises MissingError naming the line for a duplicate, a
    row of another shape, or an orig_file that is not orig_idx + 1.
    """
    originals: dict[int, int] = {}
    for number, fields in _lines(path):
        if _number(fields[0]) is None and not originals:
            continue
        index = _index(path, number, fields[0])
        if index in originals:
            raise MissingError(f"{path}, line {number}: image {index} is listed twice")
        originals[index] = _original(path, number, fields[1:])
    _complete(path, sorted(originals), None)
    return originals


def read_partition(path: Path) -> dict[int, str]:
    """Read list_eval_partition.txt: CelebA number (1-based) -> "train", "val" or "test".

    Raises MissingError with the line.
    """
    parts: dict[int, str] = {}
    for number, fields in _lines(path):
        if len(fields) != 2 or fields[1] not in PARTS:
            if not parts and _number(fields[0]) is None:
                continue
            found = " ".join(fields)[:60]
            raise MissingError(f"{path}, line {number}: expected a file name and 0, 1 or 2, found {found!r}")
        index = _index(path, number, fields[0])
        if index in parts:
            raise MissingError(f"{path}, line {number}: {fields[0]} is listed twice")
        parts[index] = PARTS[fields[1]]
    return parts


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        for number, line in read_lines(path):
            if fields := line.replace(",", " ").split():
                yield number, fields
    except (OSError, UnicodeDecodeError) as error:
        raise MissingError(f"{path}: cannot be read as text ({error})") from error


def _number(name: str) -> int | None:
    stem = name.rpartition(".")[0] or name
    return int(stem) if stem.isascii() and stem.isdigit() and len(stem) < _LONGEST_NUMBER else None


def _index(path: Path, line: int, name: str) -> int:
    index = _number(name)
    if index is None:
        raise MissingError(f"{path}, line {line}: {name[:40]!r} is not a numbered image")
    return index


def _labels(path: Path, line: int, fields: list[str]) -> bytes:
    """One int8 a label."""
    if wrong := set(fields) - {"-1", "1"}:
        raise MissingError(f"{path}, line {line}: labels are -1 or 1, found {min(wrong)[:20]!r}")
    return bytes(1 if field == "1" else 0xFF for field in fields)


def _original(path: Path, line: int, fields: list[str]) -> int:
    if len(fields) == 1:
        number = _index(path, line, fields[0])
        return number if "." in fields[0] else number + 1
    if len(fields) != 2:
        raise MissingError(f"{path}, line {line}: expected idx orig_idx orig_file, found {len(fields) + 1} fields")
    original, file = _index(path, line, fields[0]), _index(path, line, fields[1])
    if file != original + 1:
        raise MissingError(f"{path}, line {line}: orig_file {fields[1]} is not orig_idx {fields[0]} + 1")
    return file


def _complete(path: Path, indices: list[int], promised: int | None) -> None:
    if not indices:
        raise MissingError(f"{path}: has no rows")
    gap = next((first + 1 for first, second in pairwise(indices) if second != first + 1), None)
    if promised is not None and promised != len(indices):
        where = f"; image {gap} has no row" if gap is not None else ""
        raise MissingError(f"{path}: line 1 promises {promised} rows, there are {len(indices)}{where}")
    if gap is not None and promised is None and len(indices) > gap:
        # A hole in a file that otherwise counts through is a lost row; a list of chosen images has many holes.
        holes = indices[-1] - indices[0] + 1 - len(indices)
        if holes < 0.01 * len(indices):
            raise MissingError(f"{path}: image {gap} has no row")
