"""The shipped networks score what they scored when they were shipped, through the gate that users have.

`BASELINE=1 pytest tests/e2e/test_baseline.py` records the scores anew, after a change that was meant to move them.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from bench.cli import main
from bench.cli.gate_command import CLOSING, cells_of
from bench.core.checkpoint import read_checkpoint, write_safetensors
from bench.plan.config import load_config
from bench.plan.names import spelled_out
from bench.results.row import REAL, TRUTH, parse
from bench.results.wholeness import load_results
from bench.world.networks import WEIGHTS

BASELINE = Path(__file__).parents[1] / "baselines" / "world"
# Another processor rounds otherwise; a change of weights or code moves scores by more than this.
NOISE = 0.005


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_plots: None) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("signal.signal", lambda *_: None)


def run_all(name: str, *words: str) -> Path:
    """A run of every method that is shipped, on a few images."""
    assert main(["--methods", "ready", "--limit", "16", "--name", name, *words]) == 0
    return Path("runs") / name


def gate(run: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, set[str]]:
    """The gate's exit code, and the methods that close it."""
    capsys.readouterr()
    code = main(["gate", str(BASELINE), str(run), "--unchanged", "--tolerance", str(NOISE), "--json"])
    cells = json.loads(capsys.readouterr().out)["cells"]
    return code, {cell["method"] for cell in cells if cell["verdict"] in CLOSING}


@pytest.mark.slow
def test_shipped_scores_have_not_moved(capsys: pytest.CaptureFixture[str]) -> None:
    run = run_all("now")
    if os.environ.get("BASELINE") == "1":
        shutil.rmtree(BASELINE, ignore_errors=True)
        BASELINE.mkdir(parents=True)
        shutil.copy(run / "manifest.json", BASELINE)
        shutil.copytree(run / "rows", BASELINE / "rows", ignore=shutil.ignore_patterns("*.lock"))
    assert gate(run, capsys) == (0, set())
    # Whoever ships a method ships its scores with it.
    assert {method for method, _ in cells_of(load_results(BASELINE))} == set(ready_methods())


@pytest.mark.slow
def test_a_changed_weight_of_any_method_closes_the_gate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The convolutions of each method's own file, a twentieth larger, move some score of that method."""
    words = []
    for name in ready_methods():
        source = WEIGHTS / f"{name}.safetensors"
        content = read_checkpoint(source)
        tensors = dict(content["state_dict"])
        changed = {key: value * 1.05 for key, value in tensors.items() if value.ndim == 4}
        write_safetensors(tmp_path / source.name, {**tensors, **changed}, content["metadata"])
        words.append(f"--checkpoint={name}={tmp_path / source.name}")
    assert gate(run_all("changed", *words), capsys) == (1, set(ready_methods()))


def ready_methods() -> tuple[str, ...]:
    return spelled_out(load_config("synthetic", command_line={"methods": ["ready"]})).methods


def test_the_gate_would_notice(capsys: pytest.CaptureFixture[str]) -> None:
    """The same rows with every identity score a tenth lower close it."""
    worse = Path("worse")
    shutil.copytree(BASELINE, worse)
    for path in (worse / "rows").glob("*.jsonl"):
        rows = [row for line in path.read_bytes().splitlines() if (row := parse(line, path.stem, {}))]
        lower = [
            row if row.method in (REAL, TRUTH) else replace(row, values={**row.values, "id": row.values["id"] * 0.9})
            for row in rows
        ]
        path.write_text("".join(row.to_json() + "\n" for row in lower))
    assert main(["gate", str(BASELINE), str(worse)]) == 1
    assert "worse  warpres, pose+, id@synthetic-2" in capsys.readouterr().out
