"""Tables, plots and pages from a run's rows, through the reports room; nothing is drawn twice from the same rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bench.cli.printing import COLUMNS, tell
from bench.core.sealed import DamagedError, read_sealed, write_sealed
from bench.results.row import Row
from bench.results.wholeness import Results
from bench.timing.clock import read_timing, timing_is_damaged

# What a report is made by; a change there makes it again.
_ROOT = Path(__file__).parents[2]
_SOURCES = ("reports", "metrics", "bench/results/summaries.py", "bench/results/paired.py")
_RECORD = ".report.json"


def report(results: Results, *, columns: str = "few", again: bool = False) -> tuple[str, dict[str, Any]]:
    """Write everything a run's folder shows; returns the table for the terminal, and the same as plain data.

    A report of the same rows, manifest and code that is still whole is not made again, unless `again`. That of an
    unfinished run says so in every table.

    Args:
        columns: "few": the terminal shows the telling columns; "all": every one. The files have both.
    """
    if results.banner:
        results = replace(results, manifest={**results.manifest, "unfinished": results.banner})
    folder, manifest = results.run, results.manifest
    made_of = _fingerprint(folder, manifest, results.rows)
    record = {} if again else _read_record(folder)
    if record.get("made_of") == made_of and all(_sum(folder / name) == own for name, own in record["files"].items()):
        return record["text"][columns], record["answer"]
    from bench.core.contract import EditPass
    from bench.results.paired import Pairs
    from bench.results.summaries import summarise_run
    from reports import write_reports
    from reports.writers.terminal import table

    summaries, pairs = summarise_run(results), Pairs.of_run(results)
    passes = [EditPass(p["column"], None, p["strength"], p["inputs"], p["reals"]) for p in manifest["passes"]]
    files = write_reports(results, summaries, passes, pairs)
    text = {name: table(summaries, passes, manifest, every=name == "all", pairs=pairs) for name in COLUMNS}
    plain = answer(folder, manifest, summaries)
    sums = {file.relative_to(folder).as_posix(): _sum(file) for file in files}
    write_sealed(folder / _RECORD, {"made_of": made_of, "files": sums, "text": text, "answer": plain})
    return text[columns], plain


def answer(
    folder: Path, manifest: Mapping[str, Any], summaries: Mapping[tuple[str, str], Mapping[str, Any]]
) -> dict[str, Any]:
    """What `--json` prints: every cell as {method, pass, column, value, low, high, n, failed, rule}."""
    cells = [
        {"method": method, "pass": column, "column": name, **asdict(cell)}
        for (method, column), found in summaries.items()
        for name, cell in found.items()
    ]
    plain = {"run": str(folder), "name": manifest["run"], "missing": manifest["missing"], "cells": cells}
    return plain | ({"unfinished": manifest["unfinished"]} if "unfinished" in manifest else {})


def tell_state(results: Results) -> None:
    """Say on stderr what of a run is damaged or lacking, and what makes it."""
    for sentence in results.sentences():
        tell(sentence)
    if timing_is_damaged(results.run):
        tell(f"damaged: {results.run}/timing.json: its runtimes are left out; `time --into` writes them anew")
    if not results.whole:
        tell(f"  next: {results.next_step}")


def _fingerprint(folder: Path, manifest: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """SHA-256 of all that a report is made of. Features are fixed by their rows' keys."""
    whole = hashlib.sha256(json.dumps([str(folder), manifest], sort_keys=True).encode())
    for row in rows:
        whole.update(row.to_json().encode())
    whole.update(json.dumps(read_timing(folder).get("methods")).encode())
    for source in _SOURCES:
        path = _ROOT / source
        for file in [path] if path.is_file() else sorted(path.rglob("*.*")):
            if file.suffix in (".py", ".toml", ".csv", ".j2", ".css", ".js"):
                whole.update(file.read_bytes())
    return whole.hexdigest()


def _sum(file: Path) -> str:
    """SHA-256 of a file of the report; empty where it is gone: a table cut short is made again."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return ""


def _read_record(folder: Path) -> dict[str, Any]:
    try:
        return read_sealed(folder / _RECORD)
    except (FileNotFoundError, DamagedError):
        return {}
