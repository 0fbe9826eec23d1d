"""Per-image results on disk: rows as JSON lines, features as raw float32, one writer a shard.

Features are written before the row that points at them, so a kill at any moment leaves at worst a torn line or a
feature record that no row names. Opening a shard for writing repairs it: a torn end is cut off, a damaged line (or one
whose features are damaged) is set aside in `<shard>.damaged`, and the images it was about are made again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO

import numpy as np

from bench.core.errors import UsageError
from bench.core.files import explain_write_errors, part_of, write_atomic
from bench.core.lock import Held, hold
from bench.results.features import FROM, FeatureFiles, checksum, feature_file, record_size, rows_folder
from bench.results.reading import Damage, Scan, rows_of
from bench.results.row import Row


class ShardWriter:
    """The only writer of one shard: repairs it on opening, then appends.

    Attributes:
        keys: Of the rows that are there and need no further try.
        damage: What opening set aside.

    Raises MissingError when the folder cannot be written or the disk is full (what was written before is kept), and
    UsageError when another process is writing the same shard.
    """

    def __init__(self, run: Path, shard: str = "0") -> None:
        self.shard = shard
        self.folder = rows_folder(run)
        with explain_write_errors(self.folder, "--output"):
            self.folder.mkdir(parents=True, exist_ok=True)
            # Workers of a run that was just killed may take a moment to end.
            self._release = _lock_or_refuse(self.folder / f"{shard}.lock", run, patience=5.0)
            try:
                path = self.folder / f"{shard}.jsonl"
                path.touch()
                found = _repair(self.folder, shard)
                self._lines: IO[bytes] = path.open("ab", buffering=0)
            except BaseException:
                self._release()
                raise
        self.damage = found.damage
        self.keys = {row.key for row in found.rows if row.final}
        self._failed = {row.key: row.reason for row in found.rows if not row.final}
        self._features: dict[Path, IO[bytes]] = {}

    def append(self, entries: Sequence[tuple[Row, Mapping[str, np.ndarray]]]) -> None:
        """Append rows with their features (metric -> float32 (size,)); rows already there are left out.

        All or nothing where the disk allows it: a write that fails part-way is cut back.
        """
        fresh = [(row, features) for row, features in entries if not self._says_nothing_new(row)]
        if not fresh:
            return
        before = {self._lines: os.fstat(self._lines.fileno()).st_size}
        try:
            with explain_write_errors(self.folder, "--output"):
                lines = [self._add_features(row, features, before).to_json() for row, features in fresh]
                _write_all(self._lines, "".join(line + "\n" for line in lines).encode())
        except BaseException:
            for stream, length in before.items():
                os.ftruncate(stream.fileno(), length)
            raise
        self.keys.update(row.key for row, _ in fresh if row.final)
        self._failed.update((row.key, row.reason) for row, _ in fresh if not row.final)

    def adopt(self, rows: Sequence[Row]) -> None:
        """Append rows whose features lie in this shard's files already, see `bench.results.links`."""
        fresh = [replace(row, shard=self.shard) for row in rows if not self._says_nothing_new(row)]
        with explain_write_errors(self.folder, "--output"):
            _write_all(self._lines, "".join(row.to_json() + "\n" for row in fresh).encode())
        self.keys.update(row.key for row in fresh)

    def _says_nothing_new(self, row: Row) -> bool:
        return row.key in self.keys or (row.status == "failed" and self._failed.get(row.key, "") == row.reason)

    def _add_features(self, row: Row, features: Mapping[str, np.ndarray], before: dict[IO[bytes], int]) -> Row:
        row = replace(row, shard=self.shard)
        indices, sums = {}, {}
        for metric, vector in sorted(features.items()):
            record = np.ascontiguousarray(vector, dtype="<f4").reshape(-1)
            path = feature_file(self.folder, row, metric, record.size)
            if path not in self._features:
                self._features[path] = path.open("ab", buffering=0)
            stream = self._features[path]
            end = os.fstat(stream.fileno()).st_size
            before.setdefault(stream, end)
            indices[metric], sums[metric] = end // record.nbytes, checksum(record)
            _write_all(stream, record.tobytes())
        return replace(row, features=indices, sums=sums)

    def sync(self) -> None:
        """Push everything to the disk itself, so that even a power cut keeps it."""
        with explain_write_errors(self.folder, "--output"):
            for stream in (*self._features.values(), self._lines):
                os.fsync(stream.fileno())

    def close(self) -> None:
        """Close the files and let the shard go."""
        for stream in (*self._features.values(), self._lines):
            stream.close()
        self._release()

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _write_all(stream: IO[bytes], data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[stream.write(view) :]


def _lock_or_refuse(lock: Path, run: Path, patience: float) -> Callable[[], None]:
    try:
        return hold(lock, patience)
    except Held:
        raise UsageError(
            f"{run} is being written by another process",
            f"wait for it, or give this run another --name; if no run is alive, remove {lock}",
        ) from None


def repair(run: Path) -> list[Damage]:
    """Repair every shard that nobody is writing; returns what was set aside."""
    folder = rows_folder(run)
    found: list[Damage] = []
    for path in sorted(folder.glob("*.jsonl")):
        try:
            release = hold(folder / f"{path.stem}.lock", say=lambda _: None)
        except Held:
            continue
        with explain_write_errors(folder, "--output"):
            try:
                found += _repair(folder, path.stem).damage
            finally:
                release()
    return found


def _repair(folder: Path, shard: str) -> Scan:
    """Take damaged lines and a torn end out of the rows, then every feature record at the end that no row names."""
    path = folder / f"{shard}.jsonl"
    files = FeatureFiles(folder, shard)
    found, whole = Scan(), True
    for item in rows_of(path):
        if isinstance(item, Row):
            problem = files.problem(item)
            if problem is None:
                found.rows.append(item)
                continue
            item = Damage(*problem, "a damaged feature record", item.to_json().encode())
        whole = False
        if item is not None:
            found.damage.append(item)
    if not whole:
        _set_aside(folder / f"{shard}.damaged", found.damage)
        rewrite_lines(path, found.rows)
    _cut_features(files, found.rows)
    return found


def rewrite_lines(path: Path, rows: Sequence[Row]) -> None:
    """Put these rows, and no others, into a shard's file, whole or not at all."""
    write_atomic(path, "".join(row.to_json() + "\n" for row in rows))


def _set_aside(path: Path, damage: Sequence[Damage]) -> None:
    if damage:
        with path.open("ab") as stream:
            stream.write(b"".join(item.line + b"\n" for item in damage))


def _cut_features(files: FeatureFiles, rows: Sequence[Row]) -> None:
    used = dict.fromkeys(files, 0)
    for row in rows:
        for metric, index in row.features.items():
            file = files.find(row, metric)
            assert file is not None
            used[file] = max(used[file], index + 1)
    files.close()
    for file, records in used.items():
        end = records * 4 * record_size(file)
        if end < file.stat().st_size and FROM not in file.name.partition(".")[0]:
            if file.stat().st_nlink > 1:
                _leave_to_others(file)
            os.truncate(file, end)


def _leave_to_others(file: Path) -> None:
    """Put a copy in the place of a file that other runs have linked: they may have records where it is to be cut."""
    part = part_of(file)
    shutil.copyfile(file, part)
    part.replace(file)
