"""Tables, plots and pages from a run's rows, through the reports room."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.contract import EditPass
from bench.store import Row
from bench.summaries import summarise_run


def report(folder: Path, manifest: Mapping[str, Any], rows: Sequence[Row]) -> tuple[str, dict[str, Any]]:
    """Write everything a run's folder shows; returns the table for the terminal, and the same as plain data."""
    from reports import write_reports
    from reports.terminal import table

    summaries = summarise_run(folder, manifest, rows)
    passes = [EditPass(p["column"], None, p["strength"], p["inputs"], p["reals"]) for p in manifest["passes"]]
    write_reports(folder, summaries, passes, manifest)
    return table(summaries, passes, manifest), answer(folder, manifest, summaries)


def answer(
    folder: Path, manifest: Mapping[str, Any], summaries: Mapping[tuple[str, str], Mapping[str, Any]]
) -> dict[str, Any]:
    """What `--json` prints: every cell as {method, pass, column, value, low, high, n, failed, rule}."""
    cells = [
        {"method": method, "pass": column, "column": name, **asdict(cell)}
        for (method, column), found in summaries.items()
        for name, cell in found.items()
    ]
    return {"run": str(folder), "name": manifest["run"], "missing": manifest["missing"], "cells": cells}
