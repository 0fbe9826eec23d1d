"""Summaries -> tables, as pure data: which blocks, which rows, what each cell says. The writers only spell it out.

A table holds one protocol. Rows are methods in the paper's order, then reference rows (floors), which take no part in
the ranking. A cell without a number always says why: "missing", "not released" or a dash with a footnote, "failed" with
the count; the dash of a reference row is explained by the row's own footnote.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from reports.columns import split_column
from reports.footnotes import (
    Notes,
    add_notes,
    has_number,
    image_count,
    note_matched,
    note_small_sets,
    noted_blocks,
    noted_floors,
    small_set_note,
)
from reports.inputs import Absence, Cell, Facts, Pass, Summaries, interval, needed_count, number, part_text
from reports.naming import (
    RECONSTRUCTION,
    PassName,
    in_reading_order,
    is_reference,
    method_title,
    split_pass,
)
from reports.seeds import seed_rows
from reports.standing import Standing, ranking
from reports.table import DASH, ORIGINAL, Block, Column, Entry, Kind, Mark, Row, Table
from reports.verdict import unequal_changes, verdicts

if TYPE_CHECKING:
    from bench.results.paired import Pairs

# What a table shows: the telling columns of a group, or everything that was measured.
Selection = Literal["scores", "truth", "all"]


_TITLES: dict[Selection, str] = {
    "scores": "Scores",
    "truth": "Against the edit asked for",
    "all": "All columns",
}


def build_tables(
    summaries: Summaries, passes: Sequence[Pass], facts: Facts, *, every: bool = False, pairs: Pairs | None = None
) -> list[Table]:
    """The tables of a run: per protocol the scores and, where the truth is known, what was made of the edit asked for.

    Args:
        every: One table a protocol with all columns, in place of those with the telling ones.
        pairs: Differences image by image, by which methods are told apart; without them intervals decide.

    Raises:
        ValueError: A column names no protocol.
    """
    selections: tuple[Selection, ...] = ("all",) if every else ("scores", "truth")
    standing = Standing(facts, pairs)
    tables = (
        build_table(summaries, passes, standing, protocol, selection)
        for protocol in protocols(summaries, facts)
        for selection in selections
    )
    return [table for table in tables if table.blocks and table.rows]


def build_table(
    summaries: Summaries, passes: Sequence[Pass], standing: Standing, protocol: str, selection: Selection
) -> Table:
    """One table under `protocol`. It has no blocks when there is nothing of that selection."""
    facts = standing.facts
    names = [split_pass(column) for column in pass_order(summaries, passes)]
    headings = dict.fromkeys(name.block for name in names)
    blocks = [
        _block(summaries, facts, protocol, selection, [name for name in names if name.block == title])
        for title in headings
    ]
    full = tuple(block for block in blocks if block.columns)
    notes = Notes()
    columns = [column for block in full for column in block.columns]

    def row(name: str, titles: Mapping[str, str], kind: Kind, notes: Notes) -> Row:
        cells = tuple(entry(summaries, facts, name, column, notes) for column in columns)
        own = {edit: strength for (method, edit), strength in facts.strengths.items() if method == name}
        return Row(name, method_title(name, titles), cells, kind, strengths=own)

    rows = [row(name, facts.titles, "method", notes) for name in method_rows(summaries, facts)]
    titles = {**facts.titles, **facts.references}
    # Floors without a number are not shown, so their footnotes must not be either.
    known = [n for n in reference_rows(summaries, facts) if has_number(row(n, titles, "reference", Notes()))]
    floors = noted_floors([row(name, titles, "reference", notes) for name in known], columns, notes)
    copy = next((floor for floor in floors if floor.name == "real"), None)
    noted = add_notes(summaries, facts, columns, notes)
    if selection != "truth":
        note_small_sets(summaries, facts, protocol, columns, notes, noted)
    if selection != "scores":
        note_matched(facts, columns, notes, noted)
    return Table(
        slug=f"{selection}@{protocol}",
        title=f"{_TITLES[selection]}, protocol {protocol}",
        protocol=protocol,
        blocks=noted_blocks(full, noted),
        rows=(*marked(rows, columns, standing), *floors, *_noted_seeds(rows, columns, notes)),
        verdicts=verdicts(rows, full, standing, copy if selection == "truth" else None),
        remarks=unequal_changes(rows, columns, standing),
        notes=tuple(notes.sentences),
        warning=facts.warning,
        unfinished=facts.unfinished,
        smallest=facts.smallest_marked(protocol),
    )


def _noted_seeds(rows: Sequence[Row], columns: Sequence[Column], notes: Notes) -> list[Row]:
    """The rows over seeds, with a footnote where one of them has a dash."""
    found = []
    for row in seed_rows(rows, columns):
        dashes = any(entry.word == DASH for entry in row.entries)
        number = notes.number("Over seeds. A dash: not every seed has this number, of all its images.") if dashes else 0
        found.append(replace(row, note=number))
    return found


def protocols(summaries: Summaries, facts: Facts) -> list[str]:
    """Protocols that any number, or any missing column, belongs to."""
    columns: Iterable[str] = [*facts.absent_columns, *(name for cells in summaries.values() for name in cells)]
    return sorted({split_column(column)[1] for column in columns})


def pass_order(summaries: Summaries, passes: Sequence[Pass]) -> list[str]:
    """Pass names in the plan's order, the reconstruction first, unplanned ones at the end by name."""
    planned = [item.pass_name for item in passes]
    found = sorted({pass_name for _, pass_name in summaries if pass_name != ORIGINAL})
    ordered = dict.fromkeys([*planned, *found])
    return sorted(ordered, key=lambda name: name != RECONSTRUCTION)


def method_rows(summaries: Summaries, facts: Facts) -> list[str]:
    """Methods of the table: those asked for, those that could not run, those with numbers."""
    names = {*facts.methods, *facts.absent_methods, *(method for method, _ in summaries)}
    return in_reading_order((name for name in names if not is_reference(name, facts.references)), facts.places)


def reference_rows(summaries: Summaries, facts: Facts) -> list[str]:
    """Floors and yardsticks among the summaries, by name."""
    return sorted({method for method, _ in summaries if is_reference(method, facts.references)})


def _block(summaries: Summaries, facts: Facts, protocol: str, selection: Selection, passes: list[PassName]) -> Block:
    reconstruction = passes[0].name == RECONSTRUCTION
    metrics: set[str] = set()
    for (method, pass_name), cells in summaries.items():
        own = pass_name in {each.name for each in passes} and not is_reference(method, facts.references)
        metrics |= {split_column(c)[0] for c in cells if own and split_column(c)[1] == protocol}
    absent = {split_column(c)[0] for c in facts.absent_columns if split_column(c)[1] == protocol}
    shown = [facts.metric(metric, protocol) for metric in metrics | absent]
    wanted = ("scores", "truth", "details") if selection == "all" else (selection,)
    shown = [item for item in shown if item.group in wanted and item.shown_for(reconstruction)]
    shown.sort(key=lambda item: (item.place, item.name))
    columns = tuple(
        Column(each, item, protocol)
        for item in shown
        for each in passes
        if item.name in absent or _has(summaries, facts, each.name, f"{item.name}@{protocol}")
    )
    return Block(passes[0].block, columns, image_counts(summaries, facts, columns) if columns else ())


def _has(summaries: Summaries, facts: Facts, pass_name: str, column: str) -> bool:
    """Whether a method has this cell, and not only for want of images no number in it."""
    return any(
        column in cells and needed_count(cells[column]) is None
        for (method, own), cells in summaries.items()
        if own == pass_name and not is_reference(method, facts.references)
    )


def image_counts(summaries: Summaries, facts: Facts, columns: Sequence[Column]) -> tuple[int, ...]:
    """Images that went into each pass of these columns, in the order of the passes."""
    passes = dict.fromkeys(column.pass_name.name for column in columns)
    counts = (image_count(summaries, facts, columns, name) for name in passes)
    return tuple(count for count in counts if count)


def entry(summaries: Summaries, facts: Facts, method: str, column: Column, notes: Notes) -> Entry:
    """The cell of one method and column, with a footnote where it has no number."""
    key = f"{column.metric.name}@{column.protocol}"
    cells = summaries.get((method, column.pass_name.name))
    if cells is None and is_reference(method, facts.references) and column.pass_name.name == RECONSTRUCTION:
        cells = summaries.get((method, ORIGINAL))
    cell = (cells or {}).get(key)
    if cell is not None and (cell.failed or number(cell) is not None or part_text(cell)):
        return _from_cell(cell, notes)
    if is_reference(method, facts.references):
        return Entry(word=DASH)
    if unfit := facts.absent_cells.get((method, column.pass_name.name)):
        return _absent(unfit, method_title(method, facts.titles), notes)
    if (cell is None or not cell.n) and (why := facts.absent_methods.get(method) or facts.absent_columns.get(key)):
        return _absent(why, method_title(method, facts.titles) if method in facts.absent_methods else key, notes)
    measured = any(key in found for found in summaries.values())
    return Entry(n=cell.n if cell else 0, word=DASH, note=notes.number(_why_dash(cell, column, measured=measured)))


def _why_dash(cell: Cell | None, column: Column, *, measured: bool) -> str:
    label = column.metric.label
    if not measured:
        return f"{label}: not measured under {column.protocol}."
    if cell is not None and (needed := needed_count(cell)) is not None:
        return small_set_note(label, column.pass_name.block, cell.n, needed, column.protocol)
    if column.metric.name.startswith("flow_"):
        return f"{label}: this method estimates no flow."
    return f"{label}: no image of this method has a value."


def _from_cell(cell: Cell, notes: Notes) -> Entry:
    value, bounds, part = number(cell), interval(cell), part_text(cell)
    if value is None and part:
        note = notes.number("Not computed: the run lacks these results; its own command carries on.")
        return Entry(n=cell.n, failed=cell.failed, rule=cell.rule, word="not computed", note=note, part=part)
    if value is None:
        whole = f"all {cell.failed:,} images" if cell.failed > 1 else "the only image"
        note = notes.number(f"No number: {whole} failed; the reasons are in the failure list.")
        return Entry(n=cell.n, failed=cell.failed, rule=cell.rule, word="failed", note=note)
    low, high = bounds or (None, None)
    return Entry(value, low, high, cell.n, cell.failed, cell.rule, part=part)


def _absent(why: Absence, what: str, notes: Notes) -> Entry:
    return Entry(word=why.status, note=notes.number(f"{what}: {why.sentence()}"))


def marked(rows: Sequence[Row], columns: Sequence[Column], standing: Standing) -> list[Row]:
    """Mark best and second best, column by column, only where they are told from every other method.

    Second: at least three methods. A column without direction, or of an unfinished run, has no marks. Rows of one name
    are one method.
    """
    methods = {row.name: row for row in rows}
    marks = [
        _column_marks({name: row.entries[at] for name, row in methods.items()}, column, standing)
        for at, column in enumerate(columns)
    ]
    return [
        replace(row, entries=tuple(replace(e, mark=marks[at].get(row.name, "")) for at, e in enumerate(row.entries)))
        for row in rows
    ]


def _column_marks(entries: Mapping[str, Entry], column: Column, standing: Standing) -> dict[str, Mark]:
    ranked = [(name, entries[name]) for name in ranking(entries, column)]
    places: tuple[Mark, ...] = ("best", "second") if len(ranked) > 2 else ("best",)
    return {
        name: place
        for at, ((name, _), place) in enumerate(zip(ranked, places, strict=False))
        if len(ranked) > 1
        and all(standing.ahead(column, better, ranked[at]) for better in ranked[:at])
        and all(standing.ahead(column, ranked[at], worse) for worse in ranked[at + 1 :])
    }
