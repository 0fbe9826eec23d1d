"""What a method costs, in one line below a figure: from the timing harness's record of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.timing.clock import read_timing


def cost_lines(run: Path) -> dict[str, str]:
    """Method -> "2.2 s an image, another edit 1.3 s, 189 GMAC, 2.8 GB, on ..."; {} where nothing was timed.

    Written by `run_bench.py time --into RUN`.
    """
    timing = read_timing(run)
    where = str(timing.get("device", ""))
    return {
        str(name): _line(record, where)
        for name, record in (timing.get("methods") or {}).items()
        if isinstance(record, Mapping) and "median" in record
    }


def _line(record: Mapping[str, Any], where: str) -> str:
    parts = [f"{record['median']:.2g} s an image"]
    if isinstance(edit := record.get("second_edit"), Mapping):
        parts.append(f"another edit {edit['median']:.2g} s")
    if record.get("gmacs"):
        parts.append(f"{record['gmacs']:.0f} GMAC")
    if record.get("peak_memory_bytes"):
        parts.append(f"{record['peak_memory_bytes'] / 1e9:.1f} GB")
    return ", ".join(parts) + (f", on {where}" if where else "") + "."
