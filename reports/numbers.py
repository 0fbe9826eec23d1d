"""How a cell is spelt: digits, intervals, counts. One place, so that every format agrees."""

from __future__ import annotations

from reports.table import Block, Column, Entry

_MINUS = "−"


def digits(value: float, decimals: int) -> str:
    """A number for readers: fixed decimals, fewer when it is large ("12345.6" -> "12,346"), never in exponents
    below 10^7."""
    if abs(value) >= 1e7:
        return f"{value:.2e}".replace("-", _MINUS)
    places = decimals if abs(value) < 1000 else max(0, decimals - 2)
    text = f"{value:,.{places}f}"
    if float(text.replace(",", "")) == 0.0:
        text = text.lstrip("-")
    return text.replace("-", _MINUS)


def value_text(entry: Entry, column: Column) -> str:
    """The number, or the word that stands for it."""
    decimals = column.metric.decimals if entry.decimals is None else entry.decimals
    return entry.word if entry.value is None else digits(entry.value, decimals)


def interval_text(entry: Entry, column: Column) -> str:
    """ "[0.55, 0.59]", or an empty text."""
    if entry.value is None or entry.low is None or entry.high is None:
        return ""
    return f"[{digits(entry.low, column.metric.decimals)}, {digits(entry.high, column.metric.decimals)}]"


def half_width(entry: Entry) -> float | None:
    """Half the width of the 95 % interval, for places too narrow for both bounds."""
    if entry.value is None or entry.low is None or entry.high is None:
        return None
    return (entry.high - entry.low) / 2


def count_text(entry: Entry, block: Block) -> str:
    """What the block's heading does not say already: "n = 198", "2 failed"; empty when nothing differs."""
    parts = []
    skipped = entry.failed if entry.rule != "zero" else 0
    if entry.part:
        parts.append(entry.part)
    elif entry.value is not None and entry.n and entry.n + skipped not in block.counts:
        parts.append(f"n = {entry.n:,}")
    if entry.failed:
        rule = " as 0" if entry.rule == "zero" and entry.value is not None else ""
        parts.append(f"{entry.failed:,} failed{rule}")
    return ", ".join(parts)
