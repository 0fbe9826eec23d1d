"""What `time` prints: columns that say what they are, units apart from numbers, no column without a number."""

from __future__ import annotations

import pytest

from bench.cli.time_command import table


@pytest.mark.parametrize(("memory", "threads"), [(0, 1), (2_700_000_000, 2)])
def test_columns_say_what_they_are(memory: int, threads: int) -> None:
    stages = {"encode": {"median": 1.2}, "synthesise": {"median": 0.02}}
    found = {
        "median": 1.22, "iqr": (0.9, 1.3), "second_edit": {"median": 0.02}, "gmacs": 12.3, "efficiency": 0.2,
        "peak_memory_bytes": memory, "stages": stages, "unsteady": False,
    }  # fmt: skip
    result = {
        "hardware": "a CPU",
        "torch": "2.14",
        "threads": threads,
        "peak_gmacs_fp32": 41.0,
        "methods": {"e4e": found},
    }
    text = table(result)
    assert ("1 thread," in text) == (threads == 1)
    assert "1.22 s" in text and "20.0 ms" in text and "20%" in text and "of peak: GMAC / median / peak" in text
    assert ("memory" in text) == ("2.7 GB" in text) == bool(memory)
    assert max(map(len, text.splitlines())) <= 80
