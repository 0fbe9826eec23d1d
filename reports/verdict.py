"""What a table says in a few sentences: only what its intervals carry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reports.tables import Column, Row, Table


def verdicts(table: Table) -> list[str]:
    """One sentence a block: who stands apart in what, and where nobody does. None with fewer than two methods."""
    methods = [row for row in table.rows if row.kind == "method" and row.absent is None]
    if len({row.name for row in methods}) < 2:
        return []
    sentences, start = [], 0
    for block in table.blocks:
        places = range(start, start + len(block.columns))
        sentence = _sentence(methods, [(at, table.columns[at]) for at in places])
        sentences += [f"{block.title}: {sentence}"] if sentence else []
        start += len(block.columns)
    return sentences


def _sentence(methods: Sequence[Row], columns: Sequence[tuple[int, Column]]) -> str:
    ranked = [(at, column) for at, column in columns if column.metric.better != "none" and _contested(methods, at)]
    parts = list(_winners(methods, ranked))
    open_ones = [column.label for at, column in ranked if not any(row.entries[at].mark == "best" for row in methods)]
    if open_ones:
        parts.append(f"no method stands apart in {_listed(open_ones)}")
    return "; ".join(parts) + "." if parts else ""


def _contested(methods: Sequence[Row], at: int) -> bool:
    return len({row.name for row in methods if row.entries[at].value is not None}) > 1


def _winners(methods: Sequence[Row], ranked: Sequence[tuple[int, Column]]) -> Iterator[str]:
    for row in {row.name: row for row in methods}.values():
        best = [column.label for at, column in ranked if row.entries[at].mark == "best"]
        if best:
            yield f"{row.title} is best in {_listed(best)}"


def _listed(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
