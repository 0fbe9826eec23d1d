"""The table on stdout: plain text, at most 80 columns, one row a method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from reports.facts import gather_facts
from reports.inputs import Pass, Summaries
from reports.numbers import digits, half_width, value_text
from reports.published.rows import paper_tables
from reports.standing import rule_text
from reports.table import DASH, Block, Column, Entry, Row, Table
from reports.tables import build_tables

if TYPE_CHECKING:
    from bench.results.paired import Pairs

_GAP = 2


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
    names = max([len(row.label) for row in item.rows] + [6])
    lines = [item.title, "=" * min(width, len(item.title))]
    start = 0
    for block in item.blocks:
        for first, columns in _chunks(item, block, start, width - names):
            part = Block(block.title, columns, block.counts, block.notes)
            lines.extend(_block_lines(item, part, first, names, continued=first > start))
            lines.append("")
        start += len(block.columns)
    lines.extend(line for at, note in enumerate(item.notes, 1) for line in _wrapped(f"({at}) {note}", width))
    lines.extend(line for remark in item.remarks for line in _wrapped(remark, width))
    return "\n".join(lines).rstrip() + "\n"


def _chunks(item: Table, block: Block, start: int, room: int) -> Iterator[tuple[int, tuple[Column, ...]]]:
    """Pieces of a block that fit, with the place of their first column; + and - of a metric stay together."""
    pairs: list[list[int]] = []
    for at, column in enumerate(block.columns):
        if pairs and block.columns[pairs[-1][0]].metric == column.metric:
            pairs[-1].append(at)
        else:
            pairs.append([at])
    chunk: list[int] = []
    used = 0
    for pair in pairs:
        need = sum(_column_width(item, start + at) + _GAP for at in pair)
        if chunk and used + need > room:
            yield start + chunk[0], tuple(block.columns[at] for at in chunk)
            chunk, used = [], 0
        chunk += pair
        used += need
    if chunk:
        yield start + chunk[0], tuple(block.columns[at] for at in chunk)


def _column_width(item: Table, at: int) -> int:
    column = item.columns[at]
    cells = [_cell(row.entries[at], column) for row in item.rows if row.absent is None]
    return max([len(column.heading), *map(len, cells)])


def _cell(entry: Entry, column: Column) -> str:
    mark = {"best": "*", "second": "'", "apart": "*", "": ""}[entry.mark]
    half = half_width(entry)
    spread = f" ±{digits(half, column.metric.decimals).removeprefix('0')}" if half is not None else ""
    failed = f" !{entry.failed}" if entry.failed else ""
    note = f" ({entry.note})" if entry.note else ""
    part = f" [{entry.part}]" if entry.part else ""
    return f"{mark}{value_text(entry, column)}{spread}{failed}{part}{note}"


def _block_lines(item: Table, block: Block, start: int, names: int, continued: bool) -> list[str]:
    widths = [_column_width(item, start + at) for at in range(len(block.columns))]
    title = f"{block.label}, {block.count_text}" if block.count_text else block.label
    head = f"{'':{names}}" + "".join(f"{'':{_GAP}}{c.heading:>{w}}" for c, w in zip(block.columns, widths, strict=True))
    rows: list[str] = []
    for before, row in zip([None, *item.rows], item.rows, strict=False):
        line = _line(row, block, start, names, widths, continued)
        if line and before is not None and before.group != row.group:
            rows.append("")
        rows += [line] if line else []
    return [*([] if continued else [title]), head, "-" * len(head), *rows]


def _line(row: Row, block: Block, start: int, names: int, widths: list[int], continued: bool) -> str:
    """One row of a block; empty when the block has nothing (new) to say of it."""
    own = row.entries[start : start + len(block.columns)]
    title = f"{row.label:{names}}{'':{_GAP}}"
    if (absent := row.absent) is not None:
        part = f" [{absent.part}]" if absent.part else ""
        return "" if continued else f"{title}{absent.word}{part} ({absent.note})"
    if row.kind != "method" and all(entry.word == DASH for entry in own):
        return ""
    cells = (f"{_cell(entry, c):>{width}}" for entry, c, width in zip(own, block.columns, widths, strict=True))
    return title + (" " * _GAP).join(cells)


def _legend(tables: Sequence[Table], width: int) -> str:
    if not tables:
        return "No numbers yet."
    entries = [entry for item in tables for row in item.rows for entry in row.entries]
    parts = ["±: half of the 95 % interval"]
    if any(entry.mark for entry in entries):
        parts.append(f"*: best and ': second, {rule_text(tables[0].smallest)}")
    if any(entry.part for entry in entries):
        parts.append("[k of n]: results that are there, of those planned")
    if any(entry.failed for entry in entries):
        parts.append("!k: k pictures failed")
    return "\n".join(_wrapped("; ".join(parts) + ".", width)) + "\n"


def _wrapped(sentence: str, width: int) -> list[str]:
    import textwrap

    return textwrap.wrap(sentence, width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
