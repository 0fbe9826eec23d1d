"""Per-image results on disk: rows as JSON lines, features as raw float32, one writer a shard.

Features are written before the row that points at them, so a kill at any moment leaves at worst a torn line or a
feature record that no row names; opening the shard for writing cuts both off. Reading never changes a file.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from bench.core.errors import MissingError, UsageError
from bench.core.files import explain_write_errors, write_atomic

IDENTITY = (
    "picture", "picture_digest", "method", "method_digest", "pass", "edit_digest", "strength", "protocol",
    "protocol_digest",
)  # fmt: skip
# Names on disk that are not the fields' own.
FIELDS = {"picture": "image", "picture_digest": "image_digest", "pass": "column"}
_ON_DISK = {field: name for name, field in FIELDS.items()}

# The real pictures' own rows, compared with themselves; the references of set metrics come from them. Where a protocol
# stores JPEG, the same images before it are compared with those after it.
REAL, REAL_JPEG = "real", "real-jpeg"
ORIGINAL = "original"
# Their stand-in for a method's digest: raise the number when what such a row holds changes.
REAL_DIGESTS: Mapping[str, str] = {REAL: "real 2", REAL_JPEG: "real-jpeg 1"}


@dataclass(frozen=True)
class Row:
    """One image of one pass of one method under one protocol.

    Attributes:
        image, image_digest, method, method_digest, column, edit_digest, strength, protocol, protocol_digest:
            What the row is about; `key` is their SHA-256. `column` is written "pass" on disk.
        status: "ok" or "failed"; `reason` says why.
        values: Pair metrics, truth columns: stem -> float, never NaN.
        failures: Stem -> why this value is absent.
        features: Stem -> index of the record in the shard's feature file of that stem and protocol.
        shard: Name of the shard the row lies in; not part of the row on disk.
    """

    image: str
    image_digest: str
    method: str
    method_digest: str
    column: str
    edit_digest: str
    strength: float
    protocol: str
    protocol_digest: str
    status: str = "ok"
    reason: str | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    features: Mapping[str, int] = field(default_factory=dict)
    shard: str = ""

    @property
    def key(self) -> str:
        return row_key(**{name: getattr(self, FIELDS.get(name, name)) for name in IDENTITY})

    def to_json(self) -> str:
        """The line on disk, without its newline; the same row always gives the same bytes."""
        record = {"key": self.key} | {_ON_DISK.get(name, name): value for name, value in asdict(self).items()}
        del record["shard"]
        return json.dumps(record, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, line: str, shard: str = "") -> Row:
        """Read a line back. Raises ValueError, KeyError or TypeError on anything that is not a row."""
        record = json.loads(line)
        record.pop("key")
        return cls(shard=shard, **{FIELDS.get(name, name): value for name, value in record.items()})


def row_key(**identity: Any) -> str:
    """SHA-256 of the nine identity fields: the same result has the same key on every machine."""
    if set(identity) != set(IDENTITY):
        raise ValueError(f"a key needs exactly {IDENTITY}")
    ordered = [float(identity[name]) if name == "strength" else identity[name] for name in IDENTITY]
    return hashlib.sha256(json.dumps(ordered, ensure_ascii=False).encode()).hexdigest()


def rows_folder(run: Path) -> Path:
    return run / "rows"


def feature_file(folder: Path, row: Row, stem: str, size: int) -> Path:
    """Where records of `size` float32 lie: "0.fid@paper-1-0a1b2c3d.2048.f32", so that the file explains itself."""
    return folder / f"{row.shard}.{stem}@{row.protocol}-{row.protocol_digest[:8]}.{size}.f32"


class ShardWriter:
    """The only writer of one shard: repairs it on opening, then appends.

    Raises MissingError when the folder cannot be written or the disk is full (what was written before is kept), and
    UsageError when another process is writing the same shard.
    """

    def __init__(self, run: Path, shard: str = "0") -> None:
        self.shard = shard
        self.folder = rows_folder(run)
        with explain_write_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = (self.folder / f"{shard}.lock").open("a")
            _lock_or_refuse(self._lock, run)
            self._path = self.folder / f"{shard}.jsonl"
            self._path.touch()
            rows = _repair(self.folder, shard)
            self._lines: IO[bytes] = self._path.open("ab", buffering=0)
        self.keys = {row.key for row in rows}
        self._features: dict[Path, IO[bytes]] = {}

    def append(self, entries: Sequence[tuple[Row, Mapping[str, np.ndarray]]]) -> None:
        """Append rows with their features (stem -> float32 (size,)); rows already there are left out.

        All or nothing where the disk allows it: a write that fails part-way is cut back.
        """
        fresh = [(row, features) for row, features in entries if row.key not in self.keys]
        if not fresh:
            return
        before = {self._lines: os.fstat(self._lines.fileno()).st_size}
        try:
            with explain_write_errors(self.folder):
                lines = [self._add_features(row, features, before).to_json() for row, features in fresh]
                _write_all(self._lines, "".join(line + "\n" for line in lines).encode())
        except BaseException:
            for stream, length in before.items():
                os.ftruncate(stream.fileno(), length)
            raise
        self.keys.update(row.key for row, _ in fresh)

    def _add_features(self, row: Row, features: Mapping[str, np.ndarray], before: dict[IO[bytes], int]) -> Row:
        row = replace(row, shard=self.shard)
        indices = {}
        for stem, vector in sorted(features.items()):
            record = np.ascontiguousarray(vector, dtype="<f4").reshape(-1)
            path = feature_file(self.folder, row, stem, record.size)
            if path not in self._features:
                self._features[path] = path.open("ab", buffering=0)
            stream = self._features[path]
            end = os.fstat(stream.fileno()).st_size
            before.setdefault(stream, end)
            indices[stem] = end // record.nbytes
            _write_all(stream, record.tobytes())
        return replace(row, features=indices)

    def sync(self) -> None:
        """Push everything to the disk itself, so that even a power cut keeps it."""
        with explain_write_errors(self.folder):
            for stream in (*self._features.values(), self._lines):
                os.fsync(stream.fileno())

    def close(self) -> None:
        for stream in (*self._features.values(), self._lines):
            stream.close()
        self._lock.close()

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _write_all(stream: IO[bytes], data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[stream.write(view) :]


def _lock_or_refuse(lock: IO[str], run: Path, patience: float = 5.0) -> None:
    # Workers of a run that was just killed may take a moment to end.
    until = time.monotonic() + patience
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise UsageError(
                    f"{run} is being written by another process", "wait for it, or give this run another --name"
                ) from None
        time.sleep(0.05)


class _FeatureFiles:
    """The feature files of a rows folder: found once, looked up by (shard, stem, protocol, digest)."""

    def __init__(self, folder: Path, shard: str = "*") -> None:
        self._files = {file.name.rsplit(".", 2)[0]: file for file in sorted(folder.glob(f"{shard}.*@*.f32"))}
        self._records = {file: file.stat().st_size // _record_bytes(file) for file in self._files.values()}

    def find(self, row: Row, stem: str) -> Path | None:
        """The file that holds this row's record, None where it does not reach that far."""
        file = self._files.get(f"{row.shard}.{stem}@{row.protocol}-{row.protocol_digest[:8]}")
        return file if file is not None and row.features[stem] < self._records[file] else None

    def __iter__(self) -> Iterator[Path]:
        return iter(self._files.values())


def _record_bytes(file: Path) -> int:
    return 4 * int(file.name.rsplit(".", 2)[1])


def _repair(folder: Path, shard: str) -> list[Row]:
    """Cut a torn end off the rows, then every feature record that no row names."""
    path = folder / f"{shard}.jsonl"
    files = _FeatureFiles(folder, shard)
    rows, good = _whole_rows(path, files)
    if good < path.stat().st_size:
        os.truncate(path, good)
    used = dict.fromkeys(files, 0)
    for row in rows:
        for stem, index in row.features.items():
            file = files.find(row, stem)
            assert file is not None
            used[file] = max(used[file], index + 1)
    for file, records in used.items():
        if records * _record_bytes(file) < file.stat().st_size:
            os.truncate(file, records * _record_bytes(file))
    return rows


def _whole_rows(path: Path, files: _FeatureFiles) -> tuple[list[Row], int]:
    """Rows up to the first torn one (or the first whose features are not all there), and the byte they end at."""
    rows: list[Row] = []
    good = 0
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            row = Row.from_json(line.decode(), path.stem)
        except (ValueError, KeyError, TypeError, AttributeError):
            break
        if not line.endswith(b"\n") or not all(files.find(row, stem) for stem in row.features):
            break
        rows.append(row)
        good += len(line)
    return rows, good


def read_rows(run: Path, manifest: Mapping[str, Any] | None = None) -> list[Row]:
    """Rows of all shards, one a key, sorted by (method, pass, image, protocol).

    With a manifest, only rows of its methods, passes and protocols in their present versions: rows of an older
    checkpoint stay on disk, but no table reads them. Rows of one key in two shards are the same; the first is taken.
    """
    folder = rows_folder(run)
    files = _FeatureFiles(folder)
    found: dict[str, Row] = {}
    for path in sorted(folder.glob("*.jsonl")):
        for row in _whole_rows(path, files)[0]:
            if manifest is None or _is_current(row, manifest):
                found.setdefault(row.key, row)
    return sorted(found.values(), key=lambda row: (row.method, row.column, row.image, row.protocol, row.key))


def _is_current(row: Row, manifest: Mapping[str, Any]) -> bool:
    if (
        manifest["protocols"].get(row.protocol, {}).get("digest") != row.protocol_digest
        or manifest["pictures"].get(row.image, {}).get("digest") != row.image_digest
    ):
        return False
    if row.method in REAL_DIGESTS:
        return row.column == ORIGINAL and row.method_digest == REAL_DIGESTS[row.method]
    method = manifest["methods"].get(row.method, {})
    return method.get("digest") == row.method_digest and method["passes"].get(row.column) == {
        "edit_digest": row.edit_digest,
        "strength": row.strength,
    }


def load_features(run: Path, rows: Sequence[Row], stem: str) -> np.ndarray:
    """Features of rows that have them, float32 (rows, size), in the rows' order.

    Raises MissingError when a row has none, or the file is not there.
    """
    files = _FeatureFiles(rows_folder(run))
    maps: dict[Path, np.ndarray] = {}
    records = []
    for row in rows:
        file = files.find(row, stem) if stem in row.features else None
        if file is None:
            raise MissingError(f"{run}: no {stem} features of {row.image} ({row.method}, {row.column})")
        if file not in maps:
            shape = (file.stat().st_size // _record_bytes(file), _record_bytes(file) // 4)
            maps[file] = np.memmap(file, dtype="<f4", mode="r", shape=shape)
        records.append(maps[file][row.features[stem]])
    return np.array(records, dtype=np.float32)


def write_manifest(run: Path, manifest: Mapping[str, Any]) -> None:
    write_atomic(run / "manifest.json", json.dumps(manifest, ensure_ascii=False, indent=1) + "\n")


def read_manifest(run: Path) -> dict[str, Any]:
    """Raises MissingError where there is no run, or its manifest cannot be read."""
    try:
        manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
        if not isinstance(manifest, dict):
            raise ValueError("not an object")
    except OSError as error:
        raise MissingError(f"{run} is no run: manifest.json: {error.strerror}", "python run_bench.py --help") from None
    except ValueError as error:
        raise MissingError(f"{run}/manifest.json is damaged: {error}", "run the command again with --fresh") from None
    return manifest
