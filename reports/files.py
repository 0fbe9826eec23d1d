"""Files of a report: all of one report, and none left over from an earlier one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from bench.core.files import read_json, write_atomic

_LIST = ".reports.json"


def write_all(run: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write files by their names below the run folder, then remove what only an earlier report wrote."""
    earlier = _earlier(run / _LIST)
    written = [write_atomic(run / name, data) for name, data in files.items()]
    for name in sorted(earlier - set(files)):
        target = run / name
        if target.resolve().is_relative_to(run.resolve()):
            target.unlink(missing_ok=True)
    write_atomic(run / _LIST, (json.dumps(sorted(files), indent=1) + "\n").encode())
    return written


def _earlier(record: Path) -> set[str]:
    try:
        names = read_json(record)
    except (OSError, ValueError):
        return set()
    return {name for name in names if isinstance(name, str)} if isinstance(names, list) else set()
