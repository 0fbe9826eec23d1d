"""Any folder of images, with labels where a `labels.csv` lies beside them."""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from bench.core.errors import MissingError
from bench.core.files import read_lines
from bench.data.images import SUFFIXES
from bench.data.listing import Entry, Kind, Listing, is_number, pictures_below
from bench.data.scan import begin, called

LABELS, METADATA = "labels.csv", "metadata.csv"
_VALUES = {"-1", "1", "+1"}
SOURCE = "a folder of images; labels.csv in it (name,Smiling / a.jpg,1) gives labels of -1 and 1"


def listing(root: Path, split: str) -> Listing:
    """Every image below `root`, sorted by path; the name is the path below `root` with "/" between its parts."""
    del split  # a folder has one
    paths = pictures_below(root)
    # Names in a label file are those of the folder it lies in.
    about = begin(root, (LABELS, METADATA))
    below = "" if about == root else f"{about.relative_to(root).as_posix()}/"
    labels, source = _read_labels(about)
    labels, source = _as_listed(labels, below, paths), below + source
    unlabelled = [name for name in paths if labels and name not in labels]
    doubts = [f"{source} has no row for {len(unlabelled)} images, first {unlabelled[0]}"] if unlabelled else []
    absent = [name for name in labels if name not in paths]
    entries = [Entry(name, paths.get(name), labels.get(name, {})) for name in sorted({*paths, *absent})]
    return Listing(entries, [f"labels from {source}"] if labels else [], doubts)


def _as_listed(labels: Mapping[str, dict[str, int]], below: str, paths: Collection[str]) -> dict[str, dict[str, int]]:
    """Labels by the names that the folder has.

    A label file may have other separators, "./" before a name, another case of its letters, no suffix or another one,
    or a number without its zeros; a name that so fits several images, or an image that two names fit, is left as
    it is written.
    """
    known: dict[str, list[str]] = {}
    for path in paths:
        for form in dict.fromkeys((path.casefold(), _bare(path))):
            known.setdefault(form, []).append(path)
    found: dict[str, dict[str, int]] = {}
    for name, own in labels.items():
        plain = below + name.replace("\\", "/").removeprefix("./")
        fitting = [plain] if plain in paths else known.get(plain.casefold()) or known.get(_bare(plain)) or [plain]
        listed = fitting[0] if len(fitting) == 1 and fitting[0] not in found else plain
        found[listed if listed not in found else name] = own
    return found


def _bare(name: str) -> str:
    folder, slash, file = name.casefold().rpartition("/")
    stem = file.rpartition(".")[0] if Path(file).suffix in SUFFIXES else file
    return folder + slash + (str(int(stem)) if is_number(stem) else stem)


def _read_labels(root: Path) -> tuple[dict[str, dict[str, int]], str]:
    """Labels by name, and the file they are from: labels.csv, else the columns of metadata.csv that are labels."""
    if own := called(root, LABELS):
        return _labels(own, *_rows(own)), LABELS
    if not (path := called(root, METADATA)):
        return {}, ""
    header, rows = _rows(path)
    if "file_name" not in header:
        raise MissingError(f"{path}: has no column file_name", f"add one, or call the labels {LABELS}")
    first = header.index("file_name")
    if odd := next((number for number, row in rows if len(row) != len(header)), None):
        raise MissingError(f"{path}, line {odd}: expected {len(header)} fields, as its header has")
    # A column with a label in it is one of labels: another value among them is told by its line.
    others = [at for at in range(len(header)) if at != first]
    kept = [at for at in others if _are_labels([row[at] for _, row in rows])]
    chosen = [(number, [row[first], *(row[at] for at in kept)]) for number, row in rows]
    return (_labels(path, ["file_name", *(header[at] for at in kept)], chosen) if kept else {}), METADATA


def _rows(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Header and numbered rows of a CSV file as spreadsheets write it: blank lines, spaces, semicolons or tabs."""
    try:
        lines = [line for _, line in read_lines(path)]
        head = next((line for line in lines if line.strip()), "")
        mark = next((mark for mark in (";", "\t") if mark in head and "," not in head), ",")
        rows = [[field.strip() for field in row] for row in csv.reader(lines, delimiter=mark)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = getattr(error, "strerror", None) or error
        raise MissingError(f"{path}: cannot be read as text ({why})") from error
    found = [(number, row) for number, row in enumerate(rows, start=1) if any(row)]
    if not found or len(found[0][1]) < 2:
        raise MissingError(f"{path}: wrong header: expected name,Smiling")
    header = found[0][1]
    if twice := next((name for name in header if header.count(name) > 1), None):
        raise MissingError(f"{path}, line {found[0][0]}: the column {twice!r} is there twice")
    return header, found[1:]


def _are_labels(values: Sequence[str]) -> bool:
    """Whether a column of a table about images is one of labels: all of it is, or most of it with a -1 among it."""
    right = [value for value in values if value in _VALUES]
    return bool(right) and (len(right) == len(values) or ("-1" in right and 2 * len(right) > len(values)))


def _labels(path: Path, header: Sequence[str], rows: Sequence[tuple[int, list[str]]]) -> dict[str, dict[str, int]]:
    labels: dict[str, dict[str, int]] = {}
    for number, row in rows:
        if not row[0]:
            raise MissingError(f"{path}, line {number}: no image is named")
        if len(row) != len(header) or not set(row[1:]) <= _VALUES:
            raise MissingError(f"{path}, line {number}: expected a name and {len(header) - 1} labels of -1 or 1")
        if row[0] in labels:
            raise MissingError(f"{path}, line {number}: {row[0]} is listed twice")
        labels[row[0]] = {name: int(value) for name, value in zip(header[1:], row[1:], strict=True)}
    return labels


KINDS = (
    Kind("folder", "faces", ("all", "test"), SOURCE, listing, aliases=("folder-faces",), own=True, strict=True),
    Kind("folder-cars", "cars", ("all", "test"), SOURCE, listing, own=True),
)
