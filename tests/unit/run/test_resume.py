"""Killed at any moment, a run loses at most the images in flight and ends with the same bytes."""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from pathlib import Path

import pytest

from bench.results.reading import read_rows
from tests.unit.doubles import FewImages, PoolingMethod, fingerprint, make_work, run_work

IMAGES = 30


def _work(folder: Path, delay: float) -> None:
    both = [PoolingMethod("pool", delay=delay), PoolingMethod("dim", 0.5, delay)]
    run_work(make_work(FewImages(IMAGES, broken=[5]), both), folder)


def test_killed_and_resumed_is_byte_identical(tmp_path: Path) -> None:
    _work(tmp_path / "whole", 0.0)
    everything = len(read_rows(tmp_path / "whole"))
    folder = tmp_path / "killed"
    # A server that has imported everything forks a process a try, so that ten kills cost one import.
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["tests.unit.doubles"])
    moments = random.Random(3)
    kills = 0
    for _ in range(10):
        rows = folder / "rows" / "0.jsonl"
        before = rows.stat().st_size if rows.exists() else 0
        process = processes.Process(target=_work, args=(folder, 0.01))
        process.start()
        deadline = time.monotonic() + 60
        while process.is_alive() and time.monotonic() < deadline:
            if rows.exists() and rows.stat().st_size > before:
                break
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.08))
        if process.is_alive():
            process.kill()
            kills += 1
        process.join()
    assert kills >= 3
    assert 0 < len(read_rows(folder)) <= everything
    _work(folder, 0.0)
    assert fingerprint(folder) == fingerprint(tmp_path / "whole")


@pytest.mark.parametrize("cut", [1, 7, 60, 200])
def test_a_torn_end_is_repaired_and_made_again(tmp_path: Path, cut: int) -> None:
    work = make_work(FewImages(6), [PoolingMethod()])
    run_work(work, tmp_path)
    whole = fingerprint(tmp_path)
    rows = tmp_path / "rows" / "0.jsonl"
    os.truncate(rows, rows.stat().st_size - cut)
    # A line that lost its newline alone is whole all the same.
    assert (fingerprint(tmp_path) == whole) == (cut == 1)
    run_work(make_work(FewImages(6), [PoolingMethod()]), tmp_path)
    assert fingerprint(tmp_path) == whole
    assert not list((tmp_path / "rows").glob("*.damaged"))


def test_lost_features_take_their_rows_with_them(tmp_path: Path) -> None:
    run_work(make_work(FewImages(6), [PoolingMethod()]), tmp_path)
    whole = fingerprint(tmp_path)
    everything = len(read_rows(tmp_path))
    (features,) = (tmp_path / "rows").glob("0.fd@*.f32")
    os.truncate(features, features.stat().st_size - 40)
    assert 0 < len(read_rows(tmp_path)) < everything
    run_work(make_work(FewImages(6), [PoolingMethod()]), tmp_path)
    assert fingerprint(tmp_path) == whole


def test_feature_records_that_no_row_names_are_cut_off(tmp_path: Path) -> None:
    run_work(make_work(FewImages(6), [PoolingMethod()], limit=4), tmp_path)
    (features,) = (tmp_path / "rows").glob("0.fd@*.f32")
    with features.open("ab") as stream:
        stream.write(b"\x01" * 17)
    run_work(make_work(FewImages(6), [PoolingMethod()]), tmp_path)
    run_work(make_work(FewImages(6), [PoolingMethod()]), tmp_path / "clean")
    assert fingerprint(tmp_path) == fingerprint(tmp_path / "clean")
