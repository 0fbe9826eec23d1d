"""Time and memory of reading a large run's rows: `pytest tests/benchmarks/test_reading.py --benchmark-only`.

The paper's grid has 250,000 rows; the aim is 5 s and 300 MB. Skipped in ordinary runs.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.results.row import Row

ROOT = Path(__file__).parents[2]
ROWS, METHODS, PASSES = 250_000, 10, 5
METRICS = ("lpips", "psnr", "ssim", "ms_ssim", "id_strict", "id_loose")
# In a process of its own: the peak is a process's. The kernel's own count of it: getrusage's begins with the parent's.
READ = """
import json, sys, time
from pathlib import Path
from bench.results.reading import read_rows
began = time.perf_counter()
rows = read_rows(Path(sys.argv[1]))
seconds = time.perf_counter() - began
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(json.dumps({"rows": len(rows), "seconds": seconds, "peak_bytes": 1024 * int(peak.split()[1])}))
"""


@pytest.fixture(scope="module")
def large_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of ten methods and five passes over 5,000 images, features included."""
    run = tmp_path_factory.mktemp("large")
    (run / "rows").mkdir()
    values = np.random.default_rng(0).random((ROWS, len(METRICS)))
    with (run / "rows/0.jsonl").open("w", encoding="utf-8") as lines:
        for number, own in enumerate(values.tolist()):
            block, image = divmod(number, ROWS // (METHODS * PASSES))
            method, edit = f"method{block // PASSES}", f"pass{block % PASSES}"
            row = Row(
                f"{image}.jpg", f"{image:064x}", method, method.encode().hex().zfill(64), edit, f"{block:064x}", 3.0,
                "paper-1", "ab" * 32, values=dict(zip(METRICS, own, strict=True)), features={"fid": number},
                sums={"fid": 0},
            )  # fmt: skip
            lines.write(row.to_json() + "\n")
    with (run / "rows/0.fid@paper-1-abababab.4.f32").open("wb") as features:
        features.truncate(16 * ROWS)
    return run


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the kernel's count of memory is Linux's")
def test_a_quarter_of_a_million_rows(large_run: Path, benchmark: Any) -> None:
    def read() -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-c", READ, str(large_run)], cwd=ROOT, capture_output=True, text=True, check=True
        )
        return json.loads(done.stdout)

    measured = benchmark.pedantic(read, rounds=1, iterations=1)
    benchmark.extra_info.update(measured)
    print(json.dumps(measured))
    assert measured["rows"] == ROWS
    assert measured["peak_bytes"] <= 300e6
