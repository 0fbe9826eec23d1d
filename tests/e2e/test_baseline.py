"""The shipped networks score what they scored when they were shipped, through the gate that users have.

`BASELINE=1 pytest tests/e2e/test_baseline.py` records the scores anew, after a change that was meant to move them.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from bench.cli import main
from bench.cli.gate_command import cells_of
from bench.results.row import REAL, TRUTH, Row

BASELINE = Path(__file__).parents[1] / "baselines" / "world"
# Another processor rounds otherwise; a change of weights or code moves scores by more than this.
NOISE = 0.005


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("signal.signal", lambda *_: None)


def test_shipped_scores_have_not_moved(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--limit", "16", "--name", "now"]) == 0
    run = Path("runs/now")
    if os.environ.get("BASELINE") == "1":
        shutil.rmtree(BASELINE, ignore_errors=True)
        BASELINE.mkdir(parents=True)
        shutil.copy(run / "manifest.json", BASELINE)
        shutil.copytree(run / "rows", BASELINE / "rows", ignore=shutil.ignore_patterns("*.lock"))
    capsys.readouterr()
    assert main(["gate", str(BASELINE), str(run)]) == 0, capsys.readouterr().out
    before, after = (cells_of(folder) for folder in (BASELINE, run))
    assert set(before) == set(after)
    for block, cells in before.items():
        for column, cell in cells.items():
            known = cell.value if cell.value is None else pytest.approx(cell.value, rel=NOISE, abs=NOISE)
            assert after[block][column].value == known, (block, column)


def test_the_gate_would_notice(capsys: pytest.CaptureFixture[str]) -> None:
    """The same rows with every identity score a tenth lower close it."""
    worse = Path("worse")
    shutil.copytree(BASELINE, worse)
    for path in (worse / "rows").glob("*.jsonl"):
        rows = [Row.from_json(line) for line in path.read_text().splitlines()]
        lower = [
            row if row.method in (REAL, TRUTH) else replace(row, values={**row.values, "id": row.values["id"] * 0.9})
            for row in rows
        ]
        path.write_text("".join(row.to_json() + "\n" for row in lower))
    assert main(["gate", str(BASELINE), str(worse)]) == 1
    assert "worse   warpres, pose+, id@synthetic-2" in capsys.readouterr().out
