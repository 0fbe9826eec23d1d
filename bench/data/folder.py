"""Any folder of images, with labels where a `labels.csv` lies beside them."""

from __future__ import annotations

import csv
from pathlib import Path

from bench.core.errors import MissingError
from bench.data.listing import Entry, Kind, Listing, image_files

LABELS = "labels.csv"
SOURCE = "a folder of pictures; labels.csv in it (name,Smiling / a.jpg,1) gives labels of -1 and 1"


def listing(root: Path, split: str) -> Listing:
    """Every image below `root`, sorted by path; the name is the path below `root` with "/" between its parts."""
    del split  # a folder has one
    labels = _labels(root / LABELS)
    paths = {path.relative_to(root).as_posix(): path for path in _all_below(root)}
    unlabelled = [name for name in paths if labels and name not in labels]
    doubts = [f"{LABELS} has no row for {len(unlabelled)} pictures, first {unlabelled[0]}"] if unlabelled else []
    absent = [name for name in labels if name not in paths]
    entries = [Entry(name, paths.get(name), labels.get(name, {})) for name in sorted({*paths, *absent})]
    return Listing(entries, [f"labels from {LABELS}"] if labels else [], doubts)


def _all_below(root: Path) -> list[Path]:
    folders = sorted(path for path in root.rglob("*") if path.is_dir() and not path.name.startswith("."))
    return [path for folder in [root, *folders] for path in image_files(folder)]


def _labels(path: Path) -> dict[str, dict[str, int]]:
    if not path.exists():
        return {}
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise MissingError(f"{path}: cannot be read as text ({error})") from error
    if not rows or len(rows[0]) < 2:
        raise MissingError(f"{path}: wrong header: expected name,Smiling")
    labels: dict[str, dict[str, int]] = {}
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(rows[0]) or not set(row[1:]) <= {"-1", "1"}:
            raise MissingError(f"{path}, line {number}: expected a name and {len(rows[0]) - 1} labels of -1 or 1")
        if row[0] in labels:
            raise MissingError(f"{path}, line {number}: {row[0]} is listed twice")
        labels[row[0]] = {name: int(value) for name, value in zip(rows[0][1:], row[1:], strict=True)}
    return labels


KINDS = (
    Kind("folder", "faces", ("all", "test"), SOURCE, listing, aliases=("folder-faces",), own=True, strict=True),
    Kind("folder-cars", "cars", ("all", "test"), SOURCE, listing, own=True),
)
