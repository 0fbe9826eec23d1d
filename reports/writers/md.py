"""Markdown tables: readable as text, and rendered by any forge."""

from __future__ import annotations

import re

from reports.numbers import count_text, interval_text, value_text
from reports.standing import difference_text, rule_text
from reports.table import Block, Column, Entry, Row, Table

# An underscore inside a word ("run_bench.py") is no markup, and reads better without a backslash.
_SPECIAL = re.compile(r"([\\`*{}\[\]<>|#~]|(?<!\w)_|_(?!\w))")


def escape(text: str) -> str:
    """Text as text: no character of it is taken as markup, a line break never splits a cell."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def markdown(table: Table) -> str:
    """One small table a block (a wide one cannot be read as text), under one caption."""
    parts = [f"**{escape(table.title)}**", *([f"> {escape(table.warning)}"] if table.warning else [])]
    start = 0
    for block in table.blocks:
        parts.append(_block(table, block, start))
        start += len(block.columns)
    parts.append(legend(table))
    parts.extend(escape(remark) for remark in table.remarks)
    parts.extend(f"{number}. {escape(note)}" for number, note in enumerate(table.notes, 1))
    return "\n\n".join(_join_notes(parts)) + "\n"


def legend(table: Table) -> str:
    """What arrows and marks mean."""
    if table.compared:
        return f"Each method less the best of its column. **Bold**: {difference_text(table.smallest)}."
    return f"Arrows show the better direction. **Bold** is best and _italic_ second best, {rule_text(table.smallest)}."


def _join_notes(parts: list[str]) -> list[str]:
    notes = [part for part in parts if re.match(r"\d+\. ", part)]
    rest = [part for part in parts if part not in notes]
    return [*rest, "\n".join(notes)] if notes else rest


def _block(table: Table, block: Block, start: int) -> str:
    title = f"{block.label} ({block.count_text})" if block.count_text else block.label
    head = [escape(title), *(escape(column.heading) for column in block.columns)]
    shown = [row for row in table.rows if row.kind == "method" or _says_something(row, block, start)]
    body = [[_row_title(row), *_cells(row, block, start)] for row in shown]
    widths = [max(len(line[at]) for line in [head, *body]) for at in range(len(head))]
    rule = ["-" * max(3, widths[0]), *("-" * max(2, width - 1) + ":" for width in widths[1:])]
    return "\n".join(_line(line, widths) for line in [head, rule, *body])


def _line(texts: list[str], widths: list[int]) -> str:
    return "| " + " | ".join(text.ljust(width) for text, width in zip(texts, widths, strict=True)) + " |"


def _says_something(row: Row, block: Block, start: int) -> bool:
    return any(entry.value is not None for entry in row.entries[start : start + len(block.columns)])


def _row_title(row: Row) -> str:
    return escape(row.label) if row.kind == "method" else f"_{escape(row.label)}_"


def _cells(row: Row, block: Block, start: int) -> list[str]:
    own = row.entries[start : start + len(block.columns)]
    return [cell(entry, column, block) for entry, column in zip(own, block.columns, strict=True)]


def cell(entry: Entry, column: Column, block: Block) -> str:
    """ "**6.59** [6.41, 6.77] (2 failed)"."""
    text = escape(value_text(entry, column))
    if entry.mark:
        sign = "_" if entry.mark == "second" else "**"
        text = f"{sign}{text}{sign}"
    if entry.note:
        text += f" ({entry.note})"
    if bounds := interval_text(entry, column):
        text += f" {bounds}"
    if count := count_text(entry, block):
        text += f" ({count})"
    return text
