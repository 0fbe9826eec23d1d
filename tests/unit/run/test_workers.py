"""Processes that share a run: what they give back, and how they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.core.errors import MissingError
from bench.run.shard import Shard
from bench.run.workers import WorkerError, possible, run_workers

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are forked on Linux only")
Progress = Callable[[int, str], None]


def test_each_does_its_part_and_reports() -> None:
    seen: list[tuple[int, str]] = []

    def job(shard: Shard, progress: Progress) -> dict[str, Any]:
        for group in range(200):
            if shard.owns(group):
                progress(1, f"part {shard.rank}")
        return {"rank": shard.rank, "process": os.getpid()}

    results = run_workers(job, 3, lambda count, what: seen.append((count, what)))
    assert sorted(result["rank"] for result in results) == [0, 1, 2]
    assert len({result["process"] for result in results} | {os.getpid()}) == 4
    assert sum(count for count, _ in seen) == 200
    assert {what for _, what in seen} == {"part 0", "part 1", "part 2"}


def test_they_compute_after_the_parent_has_computed_with_threads() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    image = torch.ones(1, 64, 64, 64)
    kernel = torch.ones(64, 64, 3, 3)
    torch.nn.functional.conv2d(image, kernel)  # leaves a pool of threads behind, which a forked child has not
    signal.alarm(120)  # a child that waits for such a thread waits for ever

    def job(shard: Shard, progress: Progress) -> dict[str, Any]:
        total = torch.nn.functional.conv2d(image, kernel).sum() + torch.exp(image).sum()
        return {"finite": bool(torch.isfinite(total)), "threads": torch.get_num_threads()}

    try:
        assert run_workers(job, 2, lambda count, what: None) == [{"finite": True, "threads": 1}] * 2
        assert torch.get_num_threads() == 2
    finally:
        signal.alarm(0)
        torch.set_num_threads(before)


def test_an_error_is_told_again_and_ends_the_others(tmp_path: Path) -> None:
    def job(shard: Shard, progress: Progress) -> dict[str, Any]:
        if shard.rank == 0:
            raise MissingError("the disk is full", "free some space")
        time.sleep(30)
        (tmp_path / "went on").touch()
        return {}

    with pytest.raises(WorkerError) as error:
        run_workers(job, 2, lambda count, what: None)
    assert (error.value.what, error.value.next_step, error.value.exit_code) == (
        "the disk is full",
        "free some space",
        3,
    )
    assert not (tmp_path / "went on").exists()


def test_a_worker_that_is_killed_is_noticed() -> None:
    def job(shard: Shard, progress: Progress) -> dict[str, Any]:
        if shard.rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return {}

    with pytest.raises(WorkerError, match="1 of 2 worker processes were ended from outside"):
        run_workers(job, 2, lambda count, what: None)


def test_how_many_are_possible() -> None:
    assert possible("cuda:0", 4) == 1
    assert possible("cpu", 3) == 3
    assert possible("cpu", 0) == len(os.sched_getaffinity(0))


PARENT = """
import os, sys, time
from pathlib import Path
from bench.run.workers import run_workers

def job(shard, progress):
    Path(sys.argv[1], str(os.getpid())).touch()
    time.sleep(60)
    return {}

run_workers(job, 2, lambda count, what: None)
"""


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], cwd=Path(__file__).parents[3])
    try:
        workers = _wait_for(lambda: [int(path.name) for path in tmp_path.iterdir()], lambda found: len(found) == 2)
    finally:
        parent.kill()
        parent.wait()
    assert not _wait_for(lambda: [pid for pid in workers if _alive(pid)], lambda found: not found)


def _wait_for(look: Callable[[], list[int]], enough: Callable[[list[int]], bool], patience: float = 60) -> list[int]:
    until = time.monotonic() + patience
    while not enough(found := look()) and time.monotonic() < until:
        time.sleep(0.05)
    return found


def _alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
