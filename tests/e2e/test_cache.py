"""Runs share what they have in common on disk, say what they take, and let go of what nobody would use."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.results.reading import read_rows, scan
from metrics.columns import known_kinds
from tests.e2e.conftest import PROTOCOL, Desk
from tests.e2e.survival import COLUMN, METRIC, tables


@pytest.fixture
def words(desk: Desk) -> Iterator[list[str]]:
    """Options of runs with features."""
    kinds = known_kinds()
    before = set(kinds)
    (desk.folder / "tint.py").write_text(METRIC)
    (desk.folder / "tint-1.toml").write_text(PROTOCOL.replace("plain-1", "tint-1") + COLUMN)
    with (desk.folder / "config.toml").open("a") as config:
        config.write(f"[variants.dull]\nmethod = 'blocks'\ncheckpoint = ['{desk.folder / 'dull.pt'}']\n")
    yield [
        *desk.basics, "--plugin", str(desk.folder / "tint.py"), "--protocols", str(desk.folder / "tint-1.toml"),
        "--methods", "blocks,dull",
    ]  # fmt: skip
    for name in set(kinds) - before:
        dict.pop(kinds, name)  # type: ignore[arg-type]


def _on_disk(folder: Path, pattern: str) -> int:
    """Bytes that the files really take: one that has several names counts once."""
    found = {path.stat().st_ino: path.stat().st_size for path in folder.rglob(pattern) if path.is_file()}
    return sum(found.values())


def test_what_runs_share_is_on_disk_once_and_survives_either(
    desk: Desk, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    runs = desk.folder / "runs"
    assert desk.here(*words, "--name", "one", "--limit", "5") == 0
    features = _on_disk(runs, "*.f32")
    assert desk.here(*words, "--name", "two") == 0
    assert _on_disk(runs, "*.f32") == 2 * features  # the other five images, nothing twice
    whole = tables(runs / "two")
    capsys.readouterr()
    assert desk.here("cache", "ls", "--output", str(runs), "--json") == 0
    uses = {Path(use["run"]).name: use for use in json.loads(capsys.readouterr().out)}
    assert uses["one"]["shared"] >= features and uses["two"]["rows"] == 2 * uses["one"]["rows"]
    assert uses["one"]["stale"] == uses["two"]["stale"] == 0
    # The run that lent begins afresh, then goes: the other stays whole.
    assert desk.here(*words, "--name", "one", "--limit", "5", "--fresh") == 0
    shutil.rmtree(runs / "one")
    assert desk.here("report", str(runs / "two")) == 0
    assert tables(runs / "two") == whole and not scan(runs / "two", verify=True).damage
    # And it lends in turn, from all its shards.
    assert desk.here(*words, "--name", "three", "--limit", "8") == 0
    assert desk.here(*words, "--output", str(desk.folder / "alone"), "--name", "three", "--limit", "8") == 0
    assert tables(runs / "three") == tables(desk.folder / "alone/three")


def test_a_lender_that_is_repaired_or_goes_on_harms_nobody(desk: Desk, words: list[str]) -> None:
    runs = desk.folder / "runs"
    assert desk.here(*words, "--name", "one", "--limit", "5") == 0
    assert desk.here(*words, "--name", "two", "--limit", "5") == 0
    whole = tables(runs / "two")
    (features,) = (runs / "one/rows").glob("0.tint@*.f32")
    lines = (runs / "one/rows/0.jsonl").read_bytes().splitlines(keepends=True)
    (runs / "one/rows/0.jsonl").write_bytes(b"".join(lines[:-4]))
    with features.open("ab") as stream:
        stream.write(b"torn")  # a kill's end, which the lender cuts off, with what no row of its own names
    assert desk.here(*words, "--name", "one") == 0
    assert not scan(runs / "two", verify=True).damage
    assert desk.here(*words, "--name", "two", "--limit", "5") == 0
    assert tables(runs / "two") == whole


def test_without_hard_links_records_are_copied(
    desk: Desk, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    assert desk.here(*words, "--name", "one", "--limit", "5") == 0
    monkeypatch.setattr(os, "link", refuse)
    capsys.readouterr()
    assert desk.here(*words, "--name", "two", "--limit", "5") == 0
    assert "nothing to compute" in capsys.readouterr().err
    assert tables(desk.folder / "runs/two") == tables(desk.folder / "runs/one")
    shutil.rmtree(desk.folder / "runs/one")
    assert not scan(desk.folder / "runs/two", verify=True).damage


@pytest.mark.parametrize("change", ["checkpoint", "protocol"])
def test_prune_removes_what_old_code_made_and_nothing_else(
    desk: Desk, words: list[str], capsys: pytest.CaptureFixture[str], change: str
) -> None:
    runs = desk.folder / "runs"
    assert desk.here(*words, "--name", "one") == 0
    if change == "checkpoint":
        import torch

        torch.save({"state_dict": {"gain": torch.tensor(0.8)}}, desk.folder / "bright.pt")
    else:
        own = desk.folder / "tint-1.toml"
        own.write_text(own.read_text().replace("jpeg_quality = 75", "jpeg_quality = 80"))
    assert desk.here(*words, "--methods", "blocks", "--name", "one") == 0  # dull is not shown now
    before, whole = read_rows(runs / "one"), tables(runs / "one")
    (runs / "one/rows/0.damaged").write_bytes(b"x" * 5000)
    capsys.readouterr()
    assert desk.here("cache", "ls", "--output", str(runs), "--json") == 0
    (use,) = json.loads(capsys.readouterr().out)
    expected = {"checkpoint": (50, 50), "protocol": (120, 0)}[change]
    assert (use["stale"], use["unshown"]) == expected
    assert desk.here("cache", "prune", "--output", str(runs)) == 0
    assert "--yes removes it" in capsys.readouterr().err and len(read_rows(runs / "one")) == len(before)
    assert desk.here("cache", "prune", "--output", str(runs), "--yes") == 0
    assert "removed" in capsys.readouterr().err
    left = scan(runs / "one", verify=True)
    assert len(left.rows) == len(before) - use["stale"] and not left.damage
    assert not (runs / "one/rows/0.damaged").exists()
    assert _on_disk(runs, "*.f32") == 12 * len(left.rows)
    assert desk.here("report", str(runs / "one")) == 0 and tables(runs / "one") == whole
    capsys.readouterr()
    assert desk.here("cache", "prune", "--output", str(runs), "--yes") == 0
    assert "nothing to remove" in capsys.readouterr().err
    assert desk.here(*words, "--name", "one") == 0
    said = capsys.readouterr().err
    assert ("nothing to compute" in said) == (change == "checkpoint")


def test_prune_leaves_alone_what_it_cannot_read_or_somebody_writes(
    desk: Desk, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert desk.here("cache", "ls", "--output", str(desk.folder / "none")) == 3
    assert desk.here(*words, "--name", "one", "--limit", "2") == 0
    run = desk.folder / "runs/one"
    before = (run / "rows/0.jsonl").read_bytes()
    (run / "manifest.json").write_text("{}")
    (run / "rows/0.damaged").write_bytes(b"x")
    assert desk.here("cache", "prune", "--output", str(desk.folder / "runs"), "--yes") == 0
    assert "its rows are left alone" in capsys.readouterr().err
    assert (run / "rows/0.jsonl").read_bytes() == before
