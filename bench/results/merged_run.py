"""A merge on disk: a run's folder like any other, made of the rows, features, images and times of its parts."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.errors import MissingError, UsageError
from bench.core.files import explain_write_errors
from bench.core.sealed import DamagedError, read_sealed, write_sealed
from bench.results.features import FeatureFiles, rows_folder
from bench.results.manifest import read_manifest, write_manifest
from bench.results.merge import Part
from bench.results.row import Row
from bench.results.store import ShardWriter

_ROWS_AT_ONCE = 256


def write_merge(parts: Sequence[Part], manifest: Mapping[str, Any], folder: Path) -> None:
    """Write a merge; an earlier one in this folder is replaced. The parts are left as they are.

    Raises:
        UsageError: The folder holds something else than a merge, or is one of the parts.
        MissingError: It cannot be written, or the disk is full.
    """
    _make_room(parts, folder)
    # The manifest goes first: a merge that was cut short says that it is unfinished.
    write_manifest(folder, manifest)
    digests = {name: about["digest"] for name, about in manifest["protocols"].items()}
    with ShardWriter(folder, "merged") as writer:
        for part in parts:
            entries = _entries(part, digests)
            while some := list(islice(entries, _ROWS_AT_ONCE)):
                writer.append(some)
        writer.sync()
    for part in parts:
        _link_images(part, folder)
    _write_times(parts, folder)


def _make_room(parts: Sequence[Part], folder: Path) -> None:
    if any(folder.resolve() == part.results.run.resolve() for part in parts):
        raise UsageError(f"{folder} is one of the runs to merge", "give the merge a folder of its own with --output")
    if folder.is_dir() and any(folder.iterdir()):
        try:
            known = read_manifest(folder).get("sources")
        except MissingError:
            known = None
        if not known:
            raise UsageError(f"{folder} is there and is no merge", "give another folder with --output")
    with explain_write_errors(folder, "--output"):
        for name in ("rows", "pictures"):
            shutil.rmtree(folder / name, ignore_errors=True)
        (folder / "timing.json").unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)


def _entries(part: Part, digests: Mapping[str, str]) -> Iterator[tuple[Row, Mapping[str, np.ndarray]]]:
    """A part's rows under their names and protocols in the merge, with their features."""
    files = FeatureFiles(rows_folder(part.results.run))
    for row in part.results.rows:
        features = {metric: files.read(row, metric) for metric in row.features}
        name = part.names.get(row.method, row.method)
        yield replace(row, method=name, protocol_digest=digests[row.protocol], features={}, sums={}), features


def _link_images(part: Part, folder: Path) -> None:
    """The images that a run kept, by hard links where the disk has them. Inputs and true edits are the first part's."""
    source = part.results.run / "pictures"
    for path in sorted(source.glob("*/*/*")):
        method, column, name = path.relative_to(source).parts
        target = folder / "pictures" / part.names.get(method, method) / column / name
        if target.exists() or not path.is_file():
            continue
        with explain_write_errors(target, "--output"):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                target.hardlink_to(path)
            except OSError:
                shutil.copyfile(path, target)


def _write_times(parts: Sequence[Part], folder: Path) -> None:
    """Runtimes of all parts, if they were taken on one machine: else they say nothing beside each other."""
    records = [record for part in parts if (record := _times(part))]
    if not records or any(own.get(key) != records[0].get(key) for own in records for key in ("device", "machine")):
        return
    methods = {name: times for record in records for name, times in record["methods"].items()}
    write_sealed(folder / "timing.json", {**records[0], "methods": methods})


def _times(part: Part) -> dict[str, Any]:
    try:
        record = read_sealed(part.results.run / "timing.json")
        return {**record, "methods": {part.names.get(name, name): own for name, own in record["methods"].items()}}
    except (FileNotFoundError, DamagedError, KeyError, TypeError, AttributeError):
        return {}
