"""The manifest of a run on disk: written whole, and read as what `bench.plan.manifest` makes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bench.core.errors import MissingError
from bench.core.sealed import DamagedError, read_sealed, write_sealed

FILE = "manifest.json"
# What entries are, where they are there, and what a container holds.
_KINDS: Mapping[str, tuple[type, type]] = {
    "run": (str, str), "domain": (str, str), "command": (list, str), "data": (dict, object), "machine": (dict, str),
    "versions": (dict, str), "protocols": (dict, dict), "methods": (dict, dict), "passes": (list, dict),
    "pictures": (dict, dict), "missing": (dict, dict), "plugins": (list, dict),
}  # fmt: skip


def write_manifest(run: Path, manifest: Mapping[str, Any]) -> None:
    """Write a run's record of itself, whole or not at all."""
    write_sealed(run / FILE, manifest)


def read_manifest(run: Path) -> dict[str, Any]:
    """Raises MissingError where there is no run, or its manifest is not what was written."""
    if run.is_file():
        raise MissingError(f"{run} is a file, not a run", f"name the run's folder: {run.parent}")
    try:
        found = read_sealed(run / FILE)
        for name, (kind, inner) in _KINDS.items():
            entry = found.get(name, kind())
            if not isinstance(entry, kind) or not all(isinstance(part, inner) for part in _parts(entry)):
                raise DamagedError(f"{run / FILE} is not what a run writes: {name} is {str(entry)[:40]!r}")
        return found
    except FileNotFoundError:
        raise MissingError(
            f"{run} is no run: it has no {FILE}", f"python run_bench.py ls runs --output {run.parent}"
        ) from None
    except DamagedError as error:
        raise MissingError(
            error.what, "run its command again: the manifest is written anew, results are kept"
        ) from None


def _parts(entry: object) -> Iterable[object]:
    if isinstance(entry, dict):
        return entry.values()
    return entry if isinstance(entry, list) else ()
