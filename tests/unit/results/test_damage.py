"""Bytes that are not what was written: they cost the line they are in, are set aside and told, and never a number."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.core import lock
from bench.core.errors import MissingError, UsageError
from bench.core.sealed import DamagedError, read_sealed, write_sealed
from bench.results.features import load_features
from bench.results.reading import read_rows, scan
from bench.results.row import Row
from bench.results.store import ShardWriter, repair

ROW = Row("2.jpg", "ab" * 32, "styleres", "cd" * 32, "smile+", "ef" * 32, 3.0, "paper-1", "01" * 32, values={"id": 0.5})
COUNT = 12


def _fill(run: Path, shard: str = "0") -> None:
    with ShardWriter(run, shard) as writer:
        for index in range(COUNT):
            row = replace(ROW, image=f"{index}.jpg", values={"id": index / 7, "psnr": 20.0 + index})
            writer.append([(row, {"fid": np.full(5, index, np.float32)})])


def _lines(run: Path) -> Path:
    return run / "rows" / "0.jsonl"


def _features(run: Path) -> Path:
    return next((run / "rows").glob("0.fid@*.f32"))


def _content(run: Path) -> dict[str, tuple[Any, ...]]:
    """Image -> everything measured of it, features through their checksums."""
    found = scan(run, verify=True).rows
    return {row.image: (*row.values.items(), *load_features(run, [row], "fid")[0].tolist()) for row in found}


def test_a_line_is_read_only_with_its_checksum(tmp_path: Path) -> None:
    _fill(tmp_path)
    whole = _content(tmp_path)
    _lines(tmp_path).write_bytes(_lines(tmp_path).read_bytes().replace(b'"psnr": 23.0', b'"psnr": 93.0'))
    found = scan(tmp_path)
    assert {image: whole[image] for image in whole if image != "3.jpg"} == _content(tmp_path)
    (damage,) = found.damage
    line = _lines(tmp_path).read_bytes().splitlines(keepends=True)
    assert (damage.file, damage.offset) == (_lines(tmp_path), sum(map(len, line[:3])))
    with ShardWriter(tmp_path) as writer:
        assert len(writer.keys) == COUNT - 1 and len(writer.damage) == 1
    assert b'"psnr": 93.0' in (tmp_path / "rows" / "0.damaged").read_bytes()
    _fill(tmp_path)
    assert _content(tmp_path) == whole and scan(tmp_path).damage == []


@pytest.mark.parametrize(
    ("harm", "lost"),
    [
        (lambda data: data.replace(b"\n", b"", 1), 0),
        (lambda data: data.replace(b"\n", b"X", 1), 0),
        (lambda data: data.replace(b"\n", b"\n\n\n", 1), 0),
        (lambda data: data[:2000] + b"\0" + data[2000:], 1),
        (lambda data: data[:2000] + b"\n" + data[2000:], 1),
        (lambda data: data[:2000] + bytes(700) + data[2700:], 2),
        (lambda data: data + b"[" * 200_000 + b"\n", 0),
        (lambda data: data + b'{"sum": "0123456789abcdef", "key": 7}\n', 0),
    ],
)
def test_damage_costs_the_line_it_is_in(tmp_path: Path, harm: Callable[[bytes], bytes], lost: int) -> None:
    _fill(tmp_path)
    whole = _content(tmp_path)
    _lines(tmp_path).write_bytes(harm(_lines(tmp_path).read_bytes()))
    assert COUNT - len(_content(tmp_path)) == lost
    _fill(tmp_path)
    assert _content(tmp_path) == whole


def test_thirty_changed_bytes_never_change_a_number(tmp_path: Path) -> None:
    _fill(tmp_path)
    whole = _content(tmp_path)
    moments = random.Random(12)
    for name in ("0.jsonl", _features(tmp_path).name):
        path = tmp_path / "rows" / name
        sound = path.read_bytes()
        for _ in range(30):
            at = moments.randrange(len(sound))
            path.write_bytes(sound[:at] + bytes([sound[at] ^ 1 << moments.randrange(8)]) + sound[at + 1 :])
            left = _content(tmp_path)
            assert len(left) >= COUNT - 2 and left.items() <= whole.items()
        path.write_bytes(sound)


def test_a_row_of_the_wrong_types_is_damage(tmp_path: Path) -> None:
    _fill(tmp_path)
    wrong = [replace(ROW, image=[1]), replace(ROW, strength="3"), replace(ROW, values={"id": "high"})]  # type: ignore[arg-type, dict-item]
    wrong += [replace(ROW, status="maybe"), replace(ROW, failures={"id": 3}), replace(ROW, features={"fid": "0"})]  # type: ignore[dict-item]
    with _lines(tmp_path).open("ab") as stream:
        for row in wrong:
            object.__setattr__(row, "_key", "ab" * 32)
            stream.write(row.to_json().encode() + b"\n")
    found = scan(tmp_path)
    assert (len(found.rows), len(found.damage)) == (COUNT, len(wrong))


def test_damaged_features_are_named_with_their_place_and_made_again(tmp_path: Path) -> None:
    _fill(tmp_path)
    whole = _content(tmp_path)
    data = np.fromfile(_features(tmp_path), "<f4")
    data[5 * 4 + 2] *= 2.0**20
    data.tofile(_features(tmp_path))
    with pytest.raises(MissingError, match=r"f32, byte 80: the features of 4\.jpg are damaged"):
        load_features(tmp_path, read_rows(tmp_path), "fid")
    (damage,) = scan(tmp_path, verify=True).damage
    assert (damage.file, damage.offset) == (_features(tmp_path), 80)
    assert len(repair(tmp_path)) == 1 and repair(tmp_path) == []
    assert "4.jpg" not in _content(tmp_path)
    _fill(tmp_path)
    assert _content(tmp_path) == whole


def test_a_failed_row_gives_way_to_a_measured_one(tmp_path: Path) -> None:
    failed = replace(ROW, status="failed", reason="RuntimeError: once", values={})
    for row, known in ((failed, False), (failed, False), (ROW, False), (failed, True)):
        with ShardWriter(tmp_path) as writer:
            assert (ROW.key in writer.keys) == known
            writer.append([(row, {})])
    assert _lines(tmp_path).read_bytes().count(b"\n") == 2
    (left,) = read_rows(tmp_path)
    assert left.status == "ok"
    broken = replace(ROW, image="3.jpg", status="failed", reason="input: 3.jpg: is empty (0 bytes)")
    assert broken.final and not failed.final


def test_a_sealed_record_is_what_was_written_or_refused(tmp_path: Path) -> None:
    path = write_sealed(tmp_path / "manifest.json", {"run": "ä", "data": {"pictures": 3}})
    assert read_sealed(path) == {"run": "ä", "data": {"pictures": 3}}
    sound, moments = path.read_bytes(), random.Random(5)
    for _ in range(60):
        at = moments.randrange(len(sound))
        path.write_bytes(sound[:at] + bytes([sound[at] ^ 1 << moments.randrange(8)]) + sound[at + 1 :])
        with contextlib.suppress(DamagedError):
            assert read_sealed(path) == {"run": "ä", "data": {"pictures": 3}}  # white space alone
    for content in (b"", b"[]", b"{}", b"\xff", b"[" * 200_000, b'{"run": 1}', b'{"checksum": []}'):
        path.write_bytes(content)
        with pytest.raises(DamagedError, match=r"manifest\.json"):
            read_sealed(path)
    with pytest.raises(FileNotFoundError):
        read_sealed(tmp_path / "none.json")


def test_a_file_system_without_locks_works_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(lock.FileLock, "acquire", refuse)
    _fill(tmp_path)
    assert "has no locks" in capsys.readouterr().err
    assert len(_content(tmp_path)) == COUNT


def test_a_shard_in_use_is_left_alone(tmp_path: Path) -> None:
    _fill(tmp_path)
    with ShardWriter(tmp_path, "1"):
        (tmp_path / "rows" / "1.jsonl").write_bytes(b"no row\n")
        assert repair(tmp_path) == []
        with pytest.raises(UsageError, match="another process"):
            ShardWriter(tmp_path, "1")
    assert len(repair(tmp_path)) == 1


def test_two_writers_without_locks_cost_work_but_no_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _fill(tmp_path / "whole")
    monkeypatch.setattr(lock, "hold", lambda *_, **__: lambda: None)
    monkeypatch.setattr("bench.results.store.hold", lambda *_, **__: lambda: None)
    run, whole = tmp_path / "run", _content(tmp_path / "whole")
    moments = random.Random(7)
    writers: list[ShardWriter] = []
    for index in moments.sample(range(COUNT), COUNT):
        if len(writers) < 2 or moments.random() < 0.2:
            writers.append(ShardWriter(run))  # repairs under the others' hands
        row = replace(ROW, image=f"{index}.jpg", values={"id": index / 7, "psnr": 20.0 + index})
        moments.choice(writers).append([(row, {"fid": np.full(5, index, np.float32)})])
        assert _content(run).items() <= whole.items()
    for writer in writers:
        writer.close()
    _fill(run)
    assert _content(run) == whole


def test_a_holder_that_was_killed_lets_go_where_locks_are_files(tmp_path: Path) -> None:
    script = (
        "import errno, fcntl, os, signal, sys\n"
        "from pathlib import Path\n"
        "def refuse(*_): raise OSError(errno.ENOSYS, 'none')\n"
        "fcntl.flock = refuse\n"
        "from bench.core.lock import hold\n"
        "hold(Path(sys.argv[1]))\n"
        "print('held', flush=True)\n"
        "if sys.argv[2] == 'killed': os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    for ending in ("killed", "ended", "ended"):
        done = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / "0.lock"), ending], capture_output=True, text=True
        )
        assert done.stdout == "held\n" and "has no locks" in done.stderr, done.stderr
