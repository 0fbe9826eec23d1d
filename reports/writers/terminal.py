"""The table on stdout: plain text, at most 80 columns, one row a method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.core.text_table import GAP, padded
from reports.facts import gather_facts
from reports.inputs import Pass, Summaries
from reports.numbers import digits, half_width, value_text
from reports.published.rows import paper_tables
from reports.standing import rule_text
from reports.table import DASH, Column, Entry, Part, Row, Table, units_text
from reports.tables import build_tables

if TYPE_CHECKING:
    from bench.results.paired import Pairs


def table(
    summaries: Summaries,
    passes: Sequence[Pass],
    manifest: Mapping[str, Any] | None = None,
    width: int = 80,
    *,
    every: bool = False,
    pairs: Pairs | None = None,
) -> str:
    """All tables of a run as text of at most `width` columns: blocks below one another, wide ones split.

    A run that follows a table of the paper begins with it, in the paper's own layout.

    `every`: with all columns, not the telling ones alone. `pairs`: differences by which methods are told apart.
    """
    facts = gather_facts(manifest or {})
    tables = [
        *paper_tables(summaries, facts, pairs), *build_tables(summaries, passes, facts, every=every, pairs=pairs)
    ]  # fmt: skip
    parts = ["\n".join(_wrapped(f"!! {facts.warning}", width)) + "\n"] if facts.warning else []
    parts.extend(text(item, width) for item in tables)
    parts.append(_legend(tables, width))
    return "\n".join(part for part in parts if part)


def text(item: Table, width: int = 80) -> str:
    """One table as text."""
    columns = item.columns
    heads = ["", *(column.heading for column in columns)]
    cells = padded([heads, *(_row(row, columns) for row in item.rows)], right=range(1, len(heads)))
    names, *sizes = map(len, cells[0])
    title = _wrapped(item.title, width)
    lines = [*title, "=" * max(map(len, title))]
    for part in item.parts(width - names, [size + len(GAP) for size in sizes]):
        lines += [*_part(item, part, cells), ""]
    lines.extend(line for at, note in enumerate(item.notes, 1) for line in _wrapped(f"({at}) {note}", width))
    lines.extend(line for remark in item.remarks for line in _wrapped(remark, width))
    return "\n".join(lines).rstrip() + "\n"


def _row(row: Row, columns: Sequence[Column]) -> list[str]:
    if row.absent is not None:
        return [row.label, *("" for _ in columns)]
    return [row.label, *(_cell(entry, column) for entry, column in zip(row.entries, columns, strict=True))]


def _cell(entry: Entry, column: Column) -> str:
    mark = {"best": "*", "second": "'", "apart": "*", "": ""}[entry.mark]
    half = half_width(entry)
    spread = f" ±{digits(half, column.metric.decimals).removeprefix('0')}" if half is not None else ""
    failed = f" !{entry.failed}" if entry.failed else ""
    note = f" ({entry.note})" if entry.note else ""
    part = f" [{entry.part}]" if entry.part else ""
    return f"{mark}{value_text(entry, column)}{spread}{failed}{part}{note}"


def _part(item: Table, part: Part, cells: Sequence[Sequence[str]]) -> Iterator[str]:
    """A part with its head and those rows that it says anything (new) of; `cells` are the table's, aligned."""
    block, own = part.block, slice(part.start + 1, part.start + 1 + len(part.columns))
    head, *lines = (GAP.join([line[0], *line[own]]) for line in cells)
    if part.first:
        yield f"{block.label}, {block.count_text}" if block.count_text else block.label
    yield from (head, "-" * len(head))
    group = None
    for row, (name, *_), line in zip(item.rows, cells[1:], lines, strict=True):
        said = _said(row, part, name, line)
        if not said:
            continue
        if group not in (None, row.group):
            yield ""
        group = row.group
        yield said


def _said(row: Row, part: Part, name: str, line: str) -> str:
    """A row's line; empty where the part has nothing (new) to say of it."""
    if (absent := row.absent) is not None:
        missing = f" [{absent.part}]" if absent.part else ""
        return f"{name}{GAP}{absent.word}{missing} ({absent.note})" if part.first else ""
    nothing = row.kind != "method" and all(entry.word == DASH for entry in part.of(row))
    return "" if nothing else line


def _legend(tables: Sequence[Table], width: int) -> str:
    if not tables:
        return "No numbers yet."
    entries = [entry for item in tables for row in item.rows for entry in row.entries]
    parts = ["±: half of the 95 % interval"]
    if units := units_text(column for item in tables for column in item.columns):
        parts.append(units)
    if any(entry.mark for entry in entries):
        parts.append(f"*: best and ': second, {rule_text(tables[0].smallest)}")
    if any(entry.part for entry in entries):
        parts.append("[k of n]: results that are there, of those planned")
    if any(entry.failed for entry in entries):
        parts.append("!k: k images failed")
    return "\n".join(_wrapped("; ".join(parts) + ".", width)) + "\n"


def _wrapped(sentence: str, width: int) -> list[str]:
    import textwrap

    return textwrap.wrap(sentence, width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
