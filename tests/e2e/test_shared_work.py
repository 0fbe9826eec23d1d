"""Work is shared between runs under one output: what overlaps is taken over, and the tables stay what they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.results.reading import read_rows
from tests.e2e.conftest import Desk


def _bytes(run: Path, *folders: str) -> dict[str, bytes]:
    files = [path for folder in folders for path in sorted((run / folder).rglob("*")) if path.is_file()]
    assert files
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in files}


def _with_dull(desk: Desk) -> None:
    with (desk.folder / "config.toml").open("a") as config:
        config.write(f"[variants.dull]\nmethod = 'blocks'\ncheckpoint = ['{desk.folder / 'dull.pt'}']\n")


def test_a_wider_run_computes_only_what_is_new(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    _with_dull(desk)
    assert desk.here(*desk.basics, "--limit", "4") == 0
    capsys.readouterr()
    wider = [*desk.basics, "--limit", "8", "--methods", "dull,blocks", "--edits", "pose,smile"]
    assert desk.here(*wider, "--dry-run", "--json") == 0
    plan = json.loads(capsys.readouterr().out)
    # Two rows of a real image, five of a method.
    assert sum(cell["done"] for cell in plan["cells"]) == 4 * (2 + 5)
    assert desk.here(*wider) == 0
    said = capsys.readouterr().err
    assert "28 results taken over" in said and f"{8 * 12 - 28} results to compute" in said
    (run,) = [path for path in (desk.folder / "runs").iterdir() if len(read_rows(path)) == 8 * 12]
    assert desk.here(*wider, "--output", str(desk.folder / "elsewhere")) == 0
    (alone,) = (desk.folder / "elsewhere").iterdir()
    assert alone.name == run.name
    assert _bytes(run, "tables", "grids", "pictures") == _bytes(alone, "tables", "grids", "pictures")
    capsys.readouterr()
    assert desk.here(*wider, "--name", "other") == 0
    assert "nothing to compute" in capsys.readouterr().err
    assert desk.here(*wider, "--name", "other", "--fresh") == 0
    assert "96 results to compute" in capsys.readouterr().err


def test_damaged_features_of_another_run_are_not_taken_over(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert desk.here(*desk.basics, "--name", "one", "--limit", "4") == 0
    rows = desk.folder / "runs/one/rows/0.jsonl"
    rows.write_bytes(rows.read_bytes().replace(b'"ok"', b'"OK"', 3))
    capsys.readouterr()
    assert desk.here(*desk.basics, "--name", "two", "--limit", "4") == 0
    said = capsys.readouterr().err
    assert "25 results taken over" in said and "3 results to compute" in said


def test_the_same_work_has_one_name(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(desk.folder)
    _with_dull(desk)
    names = set()
    for methods, edits, data in (
        ("blocks,dull", "smile,pose", str(desk.folder / "faces")),
        ("dull,blocks", "pose,smile", str(desk.folder / "faces") + "/"),
        ("dull,blocks", "smile,pose", "./faces"),
    ):
        words = [data if word == str(desk.folder / "faces") else word for word in desk.basics]
        assert desk.here(*words, "--methods", methods, "--edits", edits, "--dry-run", "--json") == 0
        names.add(json.loads(capsys.readouterr().out)["run"])
    assert len(names) == 1


def test_what_a_report_loses_is_said_first_and_leaves_the_grids(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    _with_dull(desk)
    assert desk.here(*desk.basics, "--methods", "blocks,dull", "--name", "one", "--limit", "6") == 0
    run = desk.folder / "runs/one"
    capsys.readouterr()
    less = [*desk.basics, "--methods", "blocks", "--edits", "smile", "--name", "one", "--limit", "1"]
    for words in ([*less, "--dry-run"], less):
        assert desk.here(*words) == 0
        said = capsys.readouterr().err
        assert "no longer show method dull, pass pose+, pass pose-, 5 of 6 images; their results are kept" in said
    assert sorted(path.name for path in (run / "grids").iterdir()) == [
        "pass-reconstruction.png", "pass-smile+.png", "pass-smile-.png", "picture-0.png",
    ]  # fmt: skip
    assert desk.here(*desk.basics, "--methods", "blocks,dull", "--name", "one", "--limit", "6") == 0
    assert "nothing to compute" in capsys.readouterr().err
