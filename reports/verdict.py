"""What a table says in a few sentences: only what its intervals carry."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from reports.table import Column, Row, Table
from reports.tables import apart


def verdicts(table: Table) -> list[str]:
    """One sentence a block: who leads in what, alone or together. None with fewer than two methods."""
    methods = [row for row in table.rows if row.kind == "method" and row.absent is None]
    if len({row.name for row in methods}) < 2:
        return []
    sentences, start = [], 0
    for block in table.blocks:
        places = range(start, start + len(block.columns))
        sentence = _sentence(methods, [(at, table.columns[at]) for at in places])
        sentences += [f"{block.title}: {sentence}"] if sentence else []
        start += len(block.columns)
    return [*sentences, *unequal_changes(table)]


def unequal_changes(table: Table) -> list[str]:
    """A warning for each block whose methods changed the attribute by different amounts: theirs is not one edit."""
    methods = [row for row in table.rows if row.kind == "method" and row.absent is None]
    found: dict[str, None] = {}
    for at, column in enumerate(table.columns):
        entries = [row.entries[at] for row in methods]
        if column.metric.name == "share" and any(apart(one, other) for one, other in combinations(entries, 2)):
            found[column.pass_name.block] = None
    return [
        f"{block}: the methods did different shares of what was asked (Share); --mode matched compares at equal change."
        for block in found
    ]


def _sentence(methods: Sequence[Row], columns: Sequence[tuple[int, Column]]) -> str:
    ranked = [(at, column) for at, column in columns if column.metric.better != "none" and _contested(methods, at)]
    shared: dict[tuple[str, ...], list[str]] = {}
    for at, column in ranked:
        shared.setdefault(_leaders(methods, at, column), []).append(column.label)
    open_ones = shared.pop((), [])
    parts = [_lead(names, columns) for names, columns in shared.items()]
    if open_ones:
        parts.append(f"no method stands apart in {_listed(open_ones)}")
    return "; ".join(parts) + "." if parts else ""


def _lead(names: Sequence[str], columns: Sequence[str]) -> str:
    verb = "is best" if len(names) == 1 else "share the lead"
    return f"{_listed(names)} {verb} in {_listed(columns)}"


def _leaders(methods: Sequence[Row], at: int, column: Column) -> tuple[str, ...]:
    """The best method and those whose intervals meet its own; empty where that is all of them."""
    sign = 1.0 if column.metric.better == "up" else -1.0
    entries = {row.title: row.entries[at] for row in methods if row.entries[at].value is not None}
    best = max(entries.values(), key=lambda entry: sign * (entry.value or 0.0))
    names = tuple(title for title, entry in entries.items() if entry is best or not apart(entry, best))
    return names if len(names) < len(entries) else ()


def _contested(methods: Sequence[Row], at: int) -> bool:
    """Whether several methods have a number here, each of all its images."""
    shown = {row.name for row in methods if row.entries[at].value is not None}
    return len(shown) > 1 and not any(row.entries[at].part for row in methods)


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
