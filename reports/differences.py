"""Tables of differences: every method against the best of its column, image by image, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from reports.columns import Metric
from reports.footnotes import Notes
from reports.standing import Standing, ranking
from reports.table import DASH, Block, Column, Entry, Mark, Row, Table

BEST = "best"


def difference_tables(tables: Sequence[Table], standing: Standing) -> list[Table]:
    """For each table of scores, its columns with one value an image, each method less the best of the column.

    A method that can be told from the best is marked "apart". Tables with nothing to compare are left out.
    """
    found = []
    for table in tables:
        methods = [row for row in table.rows if row.kind == "method" and row.absent is None]
        places = [at for at, column in enumerate(table.columns) if _comparable(methods, at, column, standing)]
        if places:
            found.append(_table(table, methods, places, standing))
    return found


def _comparable(methods: Sequence[Row], at: int, column: Column, standing: Standing) -> bool:
    names = ranking({row.name: row.entries[at] for row in methods}, column)
    return len(names) > 1 and standing.difference(column, names[0], names[1]) is not None


def _table(table: Table, methods: Sequence[Row], places: Sequence[int], standing: Standing) -> Table:
    notes = Notes()
    cells = [
        _column({row.name: row.entries[at] for row in methods}, table.columns[at], standing, notes) for at in places
    ]
    rows = tuple(Row(row.name, row.title, tuple(own[row.name] for own in cells)) for row in methods)
    blocks, start = [], 0
    for block in table.blocks:
        own = tuple(column for at, column in enumerate(block.columns, start) if at in places)
        start += len(block.columns)
        if own:
            shown = tuple(replace(column, metric=_finer(column.metric)) for column in own)
            blocks.append(Block(block.title, shown, block.counts, _few(table, block, notes)))
    return Table(
        slug=f"differences-{table.slug}",
        title=f"{table.title}: differences to the best, image by image",
        protocol=table.protocol,
        blocks=tuple(blocks),
        rows=rows,
        notes=tuple(notes.sentences),
        warning=table.warning,
        unfinished=table.unfinished,
        smallest=table.smallest,
        compared=True,
    )


def _few(table: Table, block: Block, notes: Notes) -> tuple[int, ...]:
    """The footnote on too few images, where the block has it."""
    said = (table.notes[number - 1] for number in block.notes)
    return tuple(notes.number(text) for text in said if f"n = {table.smallest}" in text)


def _finer(item: Metric) -> Metric:
    """A difference needs a digit more than its values."""
    return replace(item, decimals=item.decimals + 1)


def _column(entries: Mapping[str, Entry], column: Column, standing: Standing, notes: Notes) -> dict[str, Entry]:
    names = ranking(entries, column)
    best, found = names[0], {}
    for name, entry in entries.items():
        less = standing.difference(column, best, name) if name in names else None
        if name == best:
            found[name] = Entry(word=BEST, n=entry.n)
        elif less is None:
            found[name] = Entry(word=DASH, note=notes.number("This method has no value here, see the table above."))
        else:
            mark: Mark = "apart" if less.differs else ""
            found[name] = Entry(less.value, less.low, less.high, less.n, mark=mark)
    return found
