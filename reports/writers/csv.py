"""CSV: every digit, for machines. Wide (one row a method) and long (one row a number)."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from reports.inputs import Facts, Pass, Summaries, interval, number, part_text, reference_count
from reports.naming import RECONSTRUCTION
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
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    fields = [f"{column.name}{part}" for column in table.columns for part in _PARTS]
    edits = list(dict.fromkeys(column.pass_name.name for column in table.columns))
    edits = [name for name in edits if name != RECONSTRUCTION]
    writer.writerow(["method", "kind", *fields, *(f"{name}:strength" for name in edits), "notes"])
    for row in table.rows:
        cells = [text for entry in row.entries for text in _cell(entry)]
        strengths = [exact(row.strengths.get(name)) for name in edits]
        writer.writerow([row.name, row.kind, *cells, *strengths, "; ".join(_reasons(table, row))])
    return out.getvalue()


def _cell(entry: Entry) -> tuple[str, ...]:
    counted = entry.n or entry.failed
    return (
        exact(entry.value),
        exact(entry.low),
        exact(entry.high),
        str(entry.n) if counted else "",
        str(entry.failed) if counted else "",
        entry.mark,
    )


def _reasons(table: Table, row: Row) -> list[str]:
    numbers = dict.fromkeys([row.note, *(entry.note for entry in row.entries)])
    parts = dict.fromkeys(f"{entry.part} planned" for entry in row.entries if entry.part)
    said = [table.unfinished] if table.unfinished else []
    return [*said, *parts, *(table.notes[number - 1] for number in numbers if number)]


def exact(value: float | None) -> str:
    """The shortest text that reads back as the same float64; empty for None."""
    return "" if value is None else repr(float(value))


def long(summaries: Summaries, passes: Sequence[Pass], facts: Facts, protocol: str) -> str:
    """One row a number of one protocol, sorted by method, pass and metric; also the metrics no table shows."""
    strengths = {ORIGINAL: 0.0} | {item.pass_name: item.strength for item in passes}
    rows: list[list[str]] = []
    for (method, pass_name), cells in summaries.items():
        for name, cell in cells.items():
            metric, _, own = name.partition("@")
            if own != protocol:
                continue
            low, high = interval(cell) or (None, None)
            value = number(cell)
            strength = exact(facts.strengths.get((method, pass_name), strengths.get(pass_name)))
            status = "ok" if value is not None else "failed" if cell.failed else "empty"
            part = part_text(cell)
            status, note = ("unfinished", f"{part} planned") if part else (status, "")
            real = reference_count(cell)
            counts = [str(cell.n), "" if real is None else str(real), str(cell.failed)]
            numbers = [exact(value), exact(low), exact(high), *counts]
            rows.append([protocol, method, pass_name, strength, metric, *numbers, cell.rule, status, note])
    for method, why in facts.absent_methods.items():
        rows.append([protocol, method, *[""] * 10, why.status, why.sentence()])
    for name, why in facts.absent_columns.items():
        metric, _, own = name.partition("@")
        if own == protocol:
            rows.append([protocol, "", "", "", metric, *[""] * 7, why.status, why.sentence()])
    rows.sort(key=lambda row: (row[1], row[2], row[4]))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_LONG)
    writer.writerows(rows)
    return out.getvalue()
