"""`ls runs`: whole, unfinished and damaged runs of a folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.cli import main
from bench.results.manifest import read_manifest, write_manifest


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.chdir(tmp_path)


def test_runs_say_how_far_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls", "runs"]) == 3
    assert "runs has no runs" in capsys.readouterr().err
    assert main(["--methods", "e4e", "--edits", "none", "--limit", "3", "--name", "mine", "--device", "cpu"]) == 0
    capsys.readouterr()
    Path("runs/broken").mkdir()
    Path("runs/broken/manifest.json").write_text("{")
    older = {name: value for name, value in read_manifest(Path("runs/mine")).items() if name != "preset"}
    write_manifest(Path("runs/older"), older)
    assert main(["ls", "runs"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "whole" in lines["mine"] and "e4e; 3 of synthetic-faces test; reconstruction" in lines["mine"]
    assert "damaged" in lines["broken"] and "of another version" in lines["older"]
    (rows,) = Path("runs/mine/rows").glob("*.jsonl")
    rows.write_text("".join(rows.read_text(encoding="utf-8").splitlines(keepends=True)[:2]), encoding="utf-8")
    assert main(["ls", "runs", "--json", "--output", "runs"]) == 0
    found = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert (found["mine"]["results"], found["mine"]["planned"]) == (2, 6)
    assert found["mine"]["state"] == "2 of 6"
