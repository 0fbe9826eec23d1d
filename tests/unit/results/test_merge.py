"""Runs that cannot be merged are refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.core.errors import MissingError
from bench.results.merge import parts_of
from bench.results.wholeness import Results


def test_a_manifest_of_another_version_is_refused(tmp_path: Path) -> None:
    old = Results(tmp_path / "old", {"methods": {}, "passes": []}, (), (), {}, {})
    with pytest.raises(MissingError, match="old: its manifest has no data, pictures, protocols, run"):
        parts_of([old, old])
