"""Every hostile file through every reader: refused or read, in little memory, and never without end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.hostile.zoo import ZOO

ROOT = Path(__file__).parents[3]
MEMORY, TIMES_THE_FILE = 200 << 20, 4
# For all readers of one file together: this ends what hangs, no more.
SECONDS = 60.0


def _held(path: Path) -> int:
    """Bytes on the disk."""
    return path.stat().st_blocks * 512 if path.exists() else 0


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the kernel's count of memory is Linux's")
@pytest.mark.slow
def test_hostile_files_are_read_or_refused_in_little_memory(tmp_path: Path) -> None:
    chosen = os.environ.get("ZOO", "")
    names = [name for name in sorted(ZOO) if chosen in name]
    for name in names:
        ZOO[name](tmp_path / name)
    home = {"WARPRES_BENCH_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.unit.hostile.reading", str(SECONDS), *(str(tmp_path / n) for n in names)]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **home}, capture_output=True, text=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    faults, slowest, largest, open_reader = [], (0.0, ""), (0, ""), ""
    for line in lines:
        if "reader" in line:
            faults += [f"{open_reader}: never ended, or ended its process"] if open_reader else []
            open_reader, path = f"{line['file']} as {line['reader']}", tmp_path / line["file"]
            continue
        if line["outcome"].startswith("fault"):
            faults.append(f"{open_reader}: {line['outcome']}")
        if line["outcome"].startswith("refused: ") and len(line["outcome"]) < 30:
            faults.append(f"{open_reader}: says nothing: {line['outcome']}")
        if line["peak"] > MEMORY + TIMES_THE_FILE * _held(path):
            faults.append(f"{open_reader}: took {line['peak'] >> 20} MB, {line['outcome'][:200]}")
        slowest = max(slowest, (line["seconds"], open_reader))
        largest = max(largest, (line["peak"], open_reader))
        open_reader = ""
    print(f"{len(names)} files, {len(lines) // 2} readings; slowest {slowest}, largest {largest}")
    faults += [f"{open_reader}: never ended, or ended its process"] if open_reader else []
    assert not faults, "\n\n".join(faults)
    assert done.returncode == 0, done.stderr[-2000:]
    assert {line["file"] for line in lines if "file" in line} == set(names)
