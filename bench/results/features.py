"""Features of rows as raw float32, one file a shard, metric and protocol; each record is checked against its row."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from bench.core.errors import MissingError
from bench.results.row import Row

# In the name of a shard whose feature files are another run's too ("0-from-0"): nobody writes to them here.
FROM = "-from-"


def rows_folder(run: Path) -> Path:
    """Where a run's rows and features lie."""
    return run / "rows"


def feature_file(folder: Path, row: Row, metric: str, size: int) -> Path:
    """Where records of `size` float32 lie: "0.fid@paper-1-0a1b2c3d.2048.f32", so that the file explains itself."""
    return folder / f"{row.shard}.{metric}@{row.protocol}-{row.protocol_digest[:8]}.{size}.f32"


def checksum(record: bytes | np.ndarray) -> int:
    """CRC-32 of a record's bytes."""
    return zlib.crc32(record if isinstance(record, bytes) else record.tobytes())


class FeatureFiles:
    """The feature files of a rows folder: found once, looked up by (shard, metric, protocol, digest)."""

    def __init__(self, folder: Path, shard: str = "*") -> None:
        found = [file for file in sorted(folder.glob(f"{shard}.*@*.f32")) if file.is_file() and record_size(file)]
        self._files = {file.name.rsplit(".", 2)[0]: file for file in found}
        self._records = {file: file.stat().st_size // (4 * record_size(file)) for file in found}
        self._maps: dict[Path, np.ndarray] = {}
        self._ends: dict[tuple[str, str, str, str], int] = {}

    def file(self, row: Row, metric: str) -> Path | None:
        """The file of a row's features, whether it reaches this record or not."""
        return self._files.get(f"{row.shard}.{metric}@{row.protocol}-{row.protocol_digest[:8]}")

    def find(self, row: Row, metric: str) -> Path | None:
        """The file that holds this row's record, None where it does not reach that far."""
        file = self.file(row, metric)
        return file if file is not None and 0 <= row.features[metric] < self._records[file] else None

    def reach(self, row: Row) -> bool:
        """Whether the files reach as far as a row's records; their content is not looked at."""
        for metric, index in row.features.items():
            place = (row.shard, metric, row.protocol, row.protocol_digest)
            end = self._ends.get(place)
            if end is None:
                file = self.file(row, metric)
                end = self._ends[place] = self._records[file] if file else 0
            if not 0 <= index < end:
                return False
        return True

    def read(self, row: Row, metric: str) -> np.ndarray:
        """One record, float32 (size,), as it was written. Raises MissingError naming file and place."""
        file = self.find(row, metric) if metric in row.features else None
        if file is None:
            raise MissingError(f"no {metric} features of {row.image} ({row.method}, {row.pass_name})", _ADVICE)
        record: np.ndarray = self._map(file)[row.features[metric]]
        if checksum(record) != row.sums.get(metric):
            raise MissingError(f"{self.place(row, metric)}: the features of {row.image} are damaged", _ADVICE)
        return record

    def problem(self, row: Row) -> tuple[Path, int] | None:
        """File and offset in bytes of the first of a row's records that is not what was written."""
        for metric, index in row.features.items():
            file = self.find(row, metric)
            if file is None:
                return self.file(row, metric) or Path(f"{row.shard}.{metric}@{row.protocol}"), 0
            if checksum(self._map(file)[index]) != row.sums.get(metric):
                return file, index * 4 * record_size(file)
        return None

    def place(self, row: Row, metric: str) -> str:
        """Where a row's record lies, in words."""
        file = self.file(row, metric)
        return f"{file}, byte {row.features[metric] * 4 * record_size(file)}" if file else metric

    def close(self) -> None:
        """Let go of the files: some systems cut none that is mapped."""
        self._maps.clear()

    def _map(self, file: Path) -> np.ndarray:
        if file not in self._maps:
            shape = (self._records[file], record_size(file))
            self._maps[file] = np.memmap(file, dtype="<f4", mode="r", shape=shape)
        return self._maps[file]

    def __iter__(self) -> Iterator[Path]:
        return iter(self._files.values())


_ADVICE = "run the same command again: it makes what is damaged anew, and keeps the rest"


def record_size(file: Path) -> int:
    """Bootstrap a record; 0 for a file that is none of ours."""
    text = file.name.rsplit(".", 2)[1]
    return int(text) if text.isascii() and text.isdigit() else 0


def load_features(run: Path, rows: Sequence[Row], metric: str) -> np.ndarray:
    """Features of rows that have them, float32 (rows, size), in the rows' order.

    Raises MissingError when a row has none, its file is not there, or its record is not what was written.
    """
    files = FeatureFiles(rows_folder(run))
    try:
        return np.array([files.read(row, metric) for row in rows], dtype=np.float32)
    except MissingError as error:
        raise MissingError(f"{run}: {error.what}", error.next_step) from None
