"""A manifest is read only as what a run writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.core.errors import MissingError
from bench.results.manifest import read_manifest, write_manifest

WRITTEN: dict[str, Any] = {"run": "one", "command": ["run_bench.py"], "methods": {"e4e": {"digest": "0"}}, "passes": []}


def test_what_was_written_comes_back(tmp_path: Path) -> None:
    write_manifest(tmp_path, WRITTEN)
    assert read_manifest(tmp_path) == WRITTEN


@pytest.mark.parametrize(
    "other", [{"methods": 5}, {"methods": {"e4e": 5}}, {"passes": {"a": 1}}, {"command": [1]}, {"run": None}]
)
def test_entries_of_other_kinds_are_damage(tmp_path: Path, other: dict[str, Any]) -> None:
    write_manifest(tmp_path, WRITTEN | other)
    with pytest.raises(MissingError, match=f"not what a run writes: {next(iter(other))} is"):
        read_manifest(tmp_path)


def test_no_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no manifest"):
        read_manifest(tmp_path)
    (tmp_path / "index.html").touch()
    with pytest.raises(MissingError, match=r"index.html is a file, not a run") as error:
        read_manifest(tmp_path / "index.html")
    assert str(tmp_path) in error.value.next_step
