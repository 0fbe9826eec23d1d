"""Files of a report: written whole or not at all, none left over from an earlier report, none made twice."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.store import explain_write_errors

_RECORD = ".reports.json"


@dataclass(frozen=True)
class Record:
    """What the last report of a run was made from, and the files it wrote (name below the run folder -> bytes)."""

    digest: str = ""
    files: Mapping[str, int] = field(default_factory=dict)

    def still_holds(self, run: Path, digest: str) -> bool:
        """Whether a report from `digest` would be the same again and all its files are there."""
        return (
            bool(self.files)
            and digest == self.digest
            and all((run / name).is_file() and (run / name).stat().st_size == size for name, size in self.files.items())
        )


def write_atomic(path: Path, data: bytes) -> Path:
    """Put `data` at `path` in one step: a reader sees the old file or the new one.

    Raises:
        MissingError: The folder cannot be written, or the disk is full.
    """
    with explain_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            part.write_bytes(data)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    return path


def write_all(run: Path, files: Mapping[str, bytes], digest: str) -> list[Path]:
    """Write files by their names below the run folder, then remove what only an earlier report wrote."""
    before = read_record(run)
    written = [write_atomic(run / name, data) for name, data in files.items()]
    for name in sorted(set(before.files) - set(files)):
        target = run / name
        if target.resolve().is_relative_to(run.resolve()):
            target.unlink(missing_ok=True)
    record = {"digest": digest, "files": {name: len(data) for name, data in files.items()}}
    write_atomic(run / _RECORD, (json.dumps(record, indent=1) + "\n").encode())
    return written


def read_record(run: Path) -> Record:
    """The last report's record; an empty one where there is none or it cannot be read."""
    try:
        content: Any = json.loads((run / _RECORD).read_text(encoding="utf-8"))
        files = {str(name): int(size) for name, size in content["files"].items()}
        return Record(str(content["digest"]), files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Record()
