"""What the protocols of a folder's rows are made of: `rows/columns.json`, protocol digest -> metric -> digest.

It outlives the manifest, which knows the present protocols alone: rows of another protocol say by it which of their
columns a new one may take over.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bench.core.sealed import DamagedError, read_sealed, write_sealed
from bench.results.features import rows_folder


def recorded_columns(run: Path) -> dict[str, Mapping[str, str]]:
    """Protocol digest -> metric -> digest; {} where nothing is recorded, or what is there is damaged."""
    try:
        record = read_sealed(_file(run))
    except (FileNotFoundError, DamagedError):
        return {}
    return {digest: columns for digest, columns in record.items() if isinstance(columns, dict)}


def record_columns(run: Path, columns: Mapping[str, Mapping[str, str]]) -> None:
    """Add the protocols of a plan to those that are known. Raises MissingError where the folder cannot be written."""
    known = recorded_columns(run)
    if any(known.get(digest) != dict(own) for digest, own in columns.items()):
        write_sealed(_file(run), known | {digest: dict(own) for digest, own in columns.items()})


def _file(run: Path) -> Path:
    return rows_folder(run) / "columns.json"
