"""`ls runs`: the runs of a folder, and how far each is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError, MissingError


def runs_listed(folder: Path) -> list[dict[str, Any]]:
    """The runs in a folder, the latest first. Raises MissingError where there is none."""
    found = [_about(manifest.parent) for manifest in folder.glob("*/manifest.json")]
    if not found:
        raise MissingError(f"{folder} has no runs", "ls runs --output DIR looks elsewhere")
    return sorted(found, key=lambda row: row["changed"], reverse=True)


def _about(run: Path) -> dict[str, Any]:
    from bench.results.manifest import read_manifest
    from bench.results.reading import read_rows
    from bench.results.wholeness import planned_rows

    changed = datetime.fromtimestamp((run / "manifest.json").stat().st_mtime).isoformat(" ", "minutes")
    row: dict[str, Any] = {"name": run.name, "changed": changed, "state": "damaged"}
    try:
        manifest = read_manifest(run)
        rows = read_rows(run, manifest)
        planned = sum(planned_rows(manifest).values())
        row |= {"preset": manifest["preset"], "methods": list(manifest["methods"]), "what": _what(manifest)}
    except (BenchError, KeyError, TypeError, AttributeError, ValueError) as error:
        return row | {"what": str(error) if isinstance(error, BenchError) else f"of another version ({error!r})"}
    failed = sum(own.status == "failed" for own in rows)
    state = "whole" if len(rows) >= planned else f"{len(rows):,} of {planned:,}"
    return row | {
        "state": state + (f", {failed:,} failed" if failed else ""),
        "results": len(rows),
        "planned": planned,
        "failed": failed,
    }


def _what(manifest: Mapping[str, Any]) -> str:
    data = manifest["data"]
    passes = [edit["column"] for edit in manifest["passes"]]
    return (
        f"{', '.join(manifest['methods'])}; {data['pictures']} of {data['name']} {data['split']}; {', '.join(passes)}"
    )
