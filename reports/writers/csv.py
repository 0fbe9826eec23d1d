"""CSV: every digit, for machines. Wide (one row a method) and long (one row a number)."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from reports.columns import split_column
from reports.footnotes import small_set_note
from reports.inputs import Cell, Facts, Pass, Summaries, interval, needed_count, number, part_text, reference_count
from reports.naming import RECONSTRUCTION, split_pass
from reports.table import ORIGINAL, Entry, Row, Table

_LONG = (
    "protocol", "method", "pass", "strength", "metric", "value", "low", "high", "n", "reference_n", "failed", "rule",
    "status", "note",
)  # fmt: skip

_PARTS = ("", ":low", ":high", ":n", ":failed", ":mark")


def wide(table: Table) -> str:
    """One row a method; six fields a column: the value, then :low, :high, :n, :failed and :mark ("best", "second").

    A pass has one, "smile+:strength".

    A field is empty where there is no number; the last field of the row says why.
    """
    fields = [f"{column.name}{part}" for column in table.columns for part in _PARTS]
    passes = dict.fromkeys(column.pass_name.name for column in table.columns)
    edits = [name for name in passes if name != RECONSTRUCTION]
    rows = [
        (
            row.name,
            row.kind,
            *(cell for entry in row.entries for cell in _cell(entry)),
            *(row.strengths.get(name) for name in edits),
            "; ".join(_reasons(table, row)),
        )
        for row in table.rows
    ]
    head = ["method", "kind", *fields, *(f"{name}:strength" for name in edits), "notes"]
    return csv_text(pd.DataFrame(rows, columns=head, dtype=object))


def _cell(entry: Entry) -> tuple[object, ...]:
    counts = (entry.n, entry.failed) if entry.n or entry.failed else (None, None)
    return (entry.value, entry.low, entry.high, *counts, entry.mark)


def _reasons(table: Table, row: Row) -> list[str]:
    numbers = dict.fromkeys([row.note, *(entry.note for entry in row.entries)])
    parts = dict.fromkeys(f"{entry.part} planned" for entry in row.entries if entry.part)
    said = [table.unfinished] if table.unfinished else []
    return [*said, *parts, *(table.notes[number - 1] for number in numbers if number)]


def long(summaries: Summaries, passes: Sequence[Pass], facts: Facts, protocol: str) -> str:
    """One row a number of one protocol, sorted by method, pass and metric; also the metrics no table shows."""
    strengths = {ORIGINAL: 0.0} | {item.pass_name: float(item.strength) for item in passes}
    rows: list[dict[str, object]] = []
    for (method, pass_name), cells in summaries.items():
        strength = facts.strengths.get((method, pass_name), strengths.get(pass_name))
        for name, cell in cells.items():
            low, high = interval(cell) or (None, None)
            value, part = number(cell), part_text(cell)
            status = "unfinished" if part else "ok" if value is not None else "failed" if cell.failed else "empty"
            about = {"name": name, "method": method, "pass": pass_name, "strength": strength, "value": value}
            counts = {"n": cell.n, "reference_n": reference_count(cell), "failed": cell.failed, "rule": cell.rule}
            note = f"{part} planned" if part else _why_empty(name, cell, pass_name, facts)
            rows.append({**about, "low": low, "high": high, **counts, "status": status, "note": note})
    for name, why in facts.absent_columns.items():
        rows.append({"name": name, "method": "", "pass": "", "status": why.status, "note": why.sentence()})
    for method, why in facts.absent_methods.items():
        rows.append(
            {"name": f"@{protocol}", "method": method, "pass": "", "status": why.status, "note": why.sentence()}
        )
    table = pd.DataFrame(rows, dtype=object)
    table[["metric", "protocol"]] = table.pop("name").str.split("@", n=1, expand=True)
    own = table[table.protocol == protocol].sort_values(["method", "pass", "metric"], kind="stable")
    return csv_text(own.reindex(columns=list(_LONG)))


def _why_empty(name: str, cell: Cell, pass_name: str, facts: Facts) -> str:
    """Why a set metric has no number, where its sets are too small; else nothing."""
    metric, protocol = split_column(name)
    needed = needed_count(cell)
    if needed is None:
        return ""
    return small_set_note(facts.metric(metric, protocol).label, split_pass(pass_name).block, cell.n, needed, protocol)


def csv_text(table: pd.DataFrame) -> str:
    """A table as CSV, every digit of it; empty where there is nothing."""
    return table.to_csv(index=False, lineterminator="\n")
