"""Rows and features on disk: keys, faults of the disk, two writers, several shards."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.core.errors import MissingError, UsageError
from bench.results.features import load_features
from bench.results.manifest import read_manifest, write_manifest
from bench.results.reading import read_rows
from bench.results.row import FIELDS, IDENTITY, REAL_DIGESTS, Row, row_key
from bench.results.store import ShardWriter

ROW = Row("2.jpg", "ab" * 32, "styleres", "cd" * 32, "smile+", "ef" * 32, 3.0, "paper-1", "01" * 32, values={"id": 0.5})


def _row(index: int, **changes: Any) -> Row:
    return replace(ROW, image=f"{index}.jpg", **changes)


def _vector(value: float) -> dict[str, np.ndarray]:
    return {"fid": np.full(5, value, np.float32)}


def test_a_row_survives_the_disk(tmp_path: Path) -> None:
    with ShardWriter(tmp_path) as writer:
        writer.append([(replace(ROW, failures={"id": "no face “found”"}), _vector(0.1))])
    (row,) = read_rows(tmp_path)
    assert row == replace(ROW, failures={"id": "no face “found”"}, features={"fid": 0}, shard="0")
    assert row.key == ROW.key
    assert load_features(tmp_path, [row], "fid").tolist() == [[np.float32(0.1)] * 5]
    record = json.loads((tmp_path / "rows" / "0.jsonl").read_text())
    assert record["pass"] == "smile+"
    assert "shard" not in record
    assert (tmp_path / "rows" / "0.fid@paper-1-01010101.5.f32").stat().st_size == 20


@pytest.mark.parametrize("name", IDENTITY)
def test_every_identity_field_makes_another_key(name: str) -> None:
    field = FIELDS.get(name, name)
    other = replace(ROW, **{field: 2.0 if name == "strength" else "other"})  # type: ignore[arg-type]
    assert other.key != ROW.key


def test_results_are_not_part_of_the_key() -> None:
    assert replace(ROW, values={}, status="failed", reason="x", shard="7").key == ROW.key
    with pytest.raises(ValueError, match="exactly"):
        row_key(image="2.jpg")


def test_nan_never_reaches_a_row(tmp_path: Path) -> None:
    with ShardWriter(tmp_path) as writer, pytest.raises(ValueError, match="JSON"):
        writer.append([(_row(0), {}), (_row(1, values={"id": float("nan")}), {})])
    assert read_rows(tmp_path) == []


def test_the_same_key_is_kept_once_across_shards(tmp_path: Path) -> None:
    for shard in ("0", "1"):
        with ShardWriter(tmp_path, shard) as writer:
            writer.append([(_row(1), _vector(1)), (_row(int(shard) + 5), _vector(int(shard)))])
            writer.append([(_row(1), _vector(1))])
    rows = read_rows(tmp_path)
    assert [row.image for row in rows] == ["1.jpg", "5.jpg", "6.jpg"]
    assert load_features(tmp_path, rows, "fid")[:, 0].tolist() == [1, 0, 1]


def test_two_writers_of_one_shard_are_refused(tmp_path: Path) -> None:
    with ShardWriter(tmp_path), pytest.raises(UsageError, match="another process"):
        ShardWriter(tmp_path)
    ShardWriter(tmp_path).close()


class _FullDisk:
    """A file that takes some bytes and then says that the disk is full."""

    def __init__(self, stream: Any, room: int) -> None:
        self._stream, self._room = stream, room

    def write(self, data: memoryview) -> int:
        if self._room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written: int = self._stream.write(data[: self._room])
        self._room -= written
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@pytest.mark.parametrize("room", [0, 30, 700])
def test_a_full_disk_is_an_error_and_loses_nothing(tmp_path: Path, room: int) -> None:
    with ShardWriter(tmp_path) as writer:
        writer.append([(_row(0), _vector(0))])
        writer._lines = _FullDisk(writer._lines, room)  # type: ignore[assignment]
        with pytest.raises(MissingError, match="disk is full") as error:
            writer.append([(_row(index), _vector(index)) for index in (1, 2, 3)])
        assert "carries on" in error.value.next_step
    assert [row.image for row in read_rows(tmp_path)] == ["0.jpg"]
    with ShardWriter(tmp_path) as writer:
        writer.append([(_row(index), _vector(index)) for index in (1, 2, 3)])
    rows = read_rows(tmp_path)
    assert load_features(tmp_path, rows, "fid")[:, 0].tolist() == [0, 1, 2, 3]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    # A file where the folder should be: what root, too, cannot write into.
    (tmp_path / "run").write_text("")
    with pytest.raises(MissingError, match="cannot write") as error:
        ShardWriter(tmp_path / "run")
    assert "--output" in error.value.next_step


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_read_only_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(MissingError, match=os.strerror(number)) as error:
        ShardWriter(tmp_path / "run")
    assert "--output" in error.value.next_step


def test_a_manifest_is_whole_or_absent(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="is no run"):
        read_manifest(tmp_path)
    write_manifest(tmp_path, {"run": "ä"})
    assert read_manifest(tmp_path) == {"run": "ä"}
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]
    (tmp_path / "manifest.json").write_text('{"run"')
    with pytest.raises(MissingError, match="damaged"):
        read_manifest(tmp_path)


def test_rows_of_an_older_checkpoint_stay_but_are_not_read(tmp_path: Path) -> None:
    with ShardWriter(tmp_path) as writer:
        writer.append([(_row(0), {}), (_row(0, method_digest="old"), {}), (_row(0, strength=2.0), {})])
        real = {"method": "real", "pass_name": "original"}
        writer.append([(_row(0, method_digest=REAL_DIGESTS["real"], **real), {}), (_row(9), {})])
        writer.append([(_row(0, method_digest="real", **real), {})])
    manifest = {
        "methods": {
            "styleres": {"digest": "cd" * 32, "passes": {"smile+": {"edit_digest": "ef" * 32, "strength": 3.0}}}
        },
        "protocols": {"paper-1": {"digest": "01" * 32}},
        "pictures": {"0.jpg": {"digest": "ab" * 32}},
    }
    assert [(row.method, row.image) for row in read_rows(tmp_path, manifest)] == [
        ("real", "0.jpg"),
        ("styleres", "0.jpg"),
    ]
    assert len(read_rows(tmp_path)) == 6
