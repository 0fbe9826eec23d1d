"""Markdown tables: readable as text, and rendered by any forge."""

from __future__ import annotations

import re

from bench.core.text_table import markdown_lines
from reports.numbers import count_text, interval_text, value_text
from reports.standing import difference_text, rule_text
from reports.table import Block, Column, Entry, Part, Row, Table

# An underscore inside a word ("run_bench.py") is no markup, and reads better without a backslash.
_SPECIAL = re.compile(r"([\\`*{}\[\]<>|#~]|(?<!\w)_|_(?!\w))")


def escape(text: str) -> str:
    """Text as text: no character of it is taken as markup, a line break never splits a cell."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def markdown(table: Table) -> str:
    """One small table a block (a wide one cannot be read as text), under one caption."""
    parts = [f"**{escape(table.title)}**", *([f"> {escape(table.warning)}"] if table.warning else [])]
    parts.extend(_block(table, part) for part in table.parts())
    parts.append(legend(table))
    parts.extend(escape(remark) for remark in table.remarks)
    parts.extend(f"{number}. {escape(note)}" for number, note in enumerate(table.notes, 1))
    return "\n\n".join(_join_notes(parts)) + "\n"


def legend(table: Table) -> str:
    """What arrows, marks and numbers mean."""
    units = f" {table.units}." if table.units else ""
    if table.compared:
        return f"Each method less the best of its column. **Bold**: {difference_text(table.smallest)}.{units}"
    rule = rule_text(table.smallest)
    return f"Arrows show the better direction. **Bold** is best and _italic_ second best, {rule}.{units}"


def _join_notes(parts: list[str]) -> list[str]:
    notes = [part for part in parts if re.match(r"\d+\. ", part)]
    rest = [part for part in parts if part not in notes]
    return [*rest, "\n".join(notes)] if notes else rest


def _block(table: Table, part: Part) -> str:
    block = part.block
    title = f"{block.label} ({block.count_text})" if block.count_text else block.label
    head = [escape(title), *(escape(column.heading) for column in part.columns)]
    shown = [row for row in table.rows if row.kind == "method" or part.has_number(row)]
    return "\n".join(markdown_lines([head, *([_row_title(row), *_cells(row, part)] for row in shown)]))


def _row_title(row: Row) -> str:
    return escape(row.label) if row.kind == "method" else f"_{escape(row.label)}_"


def _cells(row: Row, part: Part) -> list[str]:
    return [cell(entry, column, part.block) for entry, column in zip(part.of(row), part.columns, strict=True)]


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
