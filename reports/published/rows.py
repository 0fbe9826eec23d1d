"""The paper's tables: their layout filled with our numbers, the published ones beside them, and the difference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from bench.core.schema import read_toml
from reports.columns import Metric
from reports.footnotes import Notes, add_notes, has_number, noted_blocks, noted_floors
from reports.inputs import Cell, Facts, Summaries, interval, number, part_text
from reports.naming import is_reference, method_title, split_pass
from reports.standing import Standing
from reports.table import DASH, Block, Column, Entry, Row, Table
from reports.tables import entry, image_counts, marked, method_rows, protocols, reference_rows
from reports.verdict import unequal_changes
from reports.writers.csv import csv_text

if TYPE_CHECKING:
    from bench.results.paired import Pairs

FOLDER = Path(__file__).parent
# Columns that no score table has, since a clock changes from run to run.
CLOCK = {
    item.name: item
    for item in (
        Metric(
            "runtime",
            "Runtime",
            4,
            "all",
            "details",
            "Seconds an image, encoding and generating, batch of one.",
            0,
            "down",
        ),
        Metric("runtime_published", "Published", 4, "all", "details", "The paper's own, on a GTX 1080 Ti.", 1),
        Metric("efficiency", "Efficiency", 2, "all", "details", "Multiply-accumulates / time / the machine's peak.", 2),
        Metric(
            "second_edit", "Second edit", 2, "all", "details", "Time of a further edit, as a share of the first.", 3
        ),
    )
}


# Method -> metric of `CLOCK` -> value.
Clocks = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class PublishedTable:
    """One table of the paper as printed: column ids of its CSV, and row -> column id -> number."""

    which: int
    columns: tuple[str, ...]
    rows: Mapping[str, Mapping[str, float]]


@cache
def _layout() -> dict[str, Any]:
    return read_toml(FOLDER / "layout.toml")


@cache
def published_table(which: int) -> PublishedTable:
    """Table 1, 2 or 3 of the paper. Raises ValueError for any other number."""
    if which not in (1, 2, 3):
        raise ValueError(f"the paper has tables 1, 2 and 3, not {which}")
    table = pd.read_csv(FOLDER / f"table{which}.csv", index_col="method", dtype={"method": str}).astype("float64")
    return PublishedTable(which, tuple(table.columns), table.to_dict("index"))


def stands_beside(protocol: str) -> bool:
    """Whether the published numbers may be shown beside a protocol: only the one that measures as the authors did."""
    return protocol == "paper-1"


def paper_table(
    which: int,
    summaries: Summaries,
    facts: Facts,
    protocol: str,
    with_published: bool = True,
    runtimes: Clocks | None = None,
    pairs: Pairs | None = None,
) -> Table:
    """Table `which` of the paper in its own layout, with our numbers under one protocol.

    Published numbers stand in a row below each of ours when asked for and when the protocol allows it; the floors that
    the paper lacks close the table. Where a truth is known, columns against it follow; and where the published numbers
    may not stand beside ours, neither do rows of methods that are not part of the run. `runtimes` adds the paper's
    runtime column and what else the harness measured; without it there is none, since score tables hold no clock.
    """
    source = published_table(which)
    layout = _layout()[str(which)]
    known = {(pass_name, c) for (_, pass_name), cells in summaries.items() for c in cells}
    ids = _scored(which, summaries, facts)
    if not stands_beside(protocol):
        ids += [c for c in layout.get("truth", ()) if set(_wanted(c, protocol)) & known]
    ids = [*(layout.get("clock", ()) if runtimes is not None else ()), *ids]
    columns = [_column(c, summaries, facts, protocol) for c in ids]
    notes = Notes()
    filling = _Filling(summaries, facts, runtimes or {}, notes)
    whole = which == 1 or stands_beside(protocol)
    titles = [title for title in _titles(which) if whole or _asked_for(title, summaries, facts)]
    ours = [(title, filling.row(title, ids, columns)) for title in titles]
    listed = {row.name for _, row in ours}
    # The ablation shows what the paper's rows are; the other two tables welcome further methods.
    others = [] if which == 1 else [name for name in method_rows(summaries, facts) if name not in listed]
    extra = [(name, filling.row(name, ids, columns)) for name in others]
    rows = marked(
        [replace(row, group=_group(which, title)) for title, row in [*ours, *extra]], columns, Standing(facts, pairs)
    )
    if with_published and stands_beside(protocol):
        printed = [(title, row) for (title, _), row in zip([*ours, *extra], rows, strict=True)]
        rows = [shown for title, row in printed for shown in _with_published(source, title, ids, row, notes)]
    rows += _floors(filling, ids, columns)
    sources = {column: _sources(name, column) for name, column in zip(ids, columns, strict=True)}
    on_sources = add_notes(summaries, facts, [one for own in sources.values() for one in own], notes)
    noted = {column: [n for one in own for n in on_sources.get(one, ())] for column, own in sources.items()}
    blocks = noted_blocks(list(_blocks(ids, columns, summaries, facts)), noted)
    return Table(
        f"table{which}@{protocol}",
        f"{_layout()[str(which)]['title']}, protocol {protocol}",
        protocol,
        blocks,
        tuple(rows),
        tuple(notes.sentences),
        facts.warning,
        facts.unfinished,
        facts.smallest_marked(protocol),
        remarks=unequal_changes(rows, columns, Standing(facts, pairs)),
    )


def paper_tables(summaries: Summaries, facts: Facts, pairs: Pairs | None = None) -> list[Table]:
    """The table of the paper that a run follows, under each of its protocols; none where it follows none."""
    if facts.paper_table is None:
        return []
    return [
        paper_table(facts.paper_table, summaries, facts, protocol, pairs=pairs)
        for protocol in protocols(summaries, facts)
    ]


def _floors(filling: _Filling, ids: Sequence[str], columns: Sequence[Column]) -> list[Row]:
    """The reference rows of this layout's columns; they take no part in the ranking."""
    titles = {**filling.facts.titles, **filling.facts.references}
    scratch = replace(filling, notes=Notes())
    names = [n for n in reference_rows(filling.summaries, filling.facts) if has_number(scratch.row(n, ids, columns))]
    rows = [replace(filling.row(name, ids, columns), title=method_title(name, titles)) for name in names]
    return noted_floors([replace(row, kind="reference") for row in rows], columns, filling.notes)


def _sources(name: str, column: Column) -> list[Column]:
    """The columns that a column of the paper is made of: itself, or those it is the mean of."""
    both = _layout()["columns"][name].get("mean_of", ())
    return [replace(column, pass_name=split_pass(one)) for one in both] or [column]


def _group(which: int, title: str) -> str:
    return next((group["title"] for group in _layout()[str(which)]["groups"] if title in group["rows"]), "")


def _titles(which: int) -> list[str]:
    return [row for group in _layout()[str(which)]["groups"] for row in group["rows"]]


def _wanted(name: str, protocol: str) -> list[tuple[str, str]]:
    """(pass, column) of every source of a column."""
    about = _layout()["columns"][name]
    return [(p, f"{s}@{protocol}") for s in about["stems"] for p in about["passes"]]


def _scored(which: int, summaries: Summaries, facts: Facts) -> list[str]:
    """The published columns of scores whose edits the run has."""
    return [c for c in published_table(which).columns if c != "runtime_s" and _is_asked_for(c, summaries, facts)]


def _is_asked_for(name: str, summaries: Summaries, facts: Facts) -> bool:
    """Whether a column's edit is part of the run; of a run without any number yet, every column is."""
    about = _layout()["columns"][name]
    passes = {pass_name for _, pass_name in (*summaries, *facts.absent_cells)}
    return not passes or bool(passes & {*about["passes"], *about.get("mean_of", ())})


def _asked_for(title: str, summaries: Summaries, facts: Facts) -> bool:
    name = our_name(title, summaries, facts)
    return name in facts.methods or name in facts.absent_methods or any(method == name for method, _ in summaries)


def _column(name: str, summaries: Summaries, facts: Facts, protocol: str) -> Column:
    about = _layout()["columns"][name]
    if not about["passes"]:
        return Column(split_pass(""), CLOCK[about["stems"][0]], protocol)
    found = {(pass_name, c) for (_, pass_name), cells in summaries.items() for c in cells}
    wanted = [(p, s) for s in about["stems"] for p in [*about["passes"], *about.get("mean_of", ())]]
    present = [(p, s) for p, s in wanted if (p, f"{s}@{protocol}") in found]
    pass_name, metric = present[0] if present else (about["passes"][0], about["stems"][0])
    if pass_name in about.get("mean_of", ()):
        pass_name = about["passes"][0]
    return Column(split_pass(pass_name), facts.metric(metric, protocol), protocol)


def _blocks(ids: Sequence[str], columns: Sequence[Column], summaries: Summaries, facts: Facts) -> Iterator[Block]:
    titles = [_layout()["columns"][c]["block"] for c in ids]
    for title in dict.fromkeys(titles):
        own = tuple(column for column, other in zip(columns, titles, strict=True) if other == title)
        yield Block(title, own, image_counts(summaries, facts, own))


def is_table_2(facts: Facts) -> bool:
    """Whether a run was asked for every method of Table 2."""
    return all(any(name in facts.methods for name in _names(title)) for title in _titles(2))


def _names(title: str) -> list[str]:
    names: list[str] = _layout()["names"].get(title, [title.lower()])
    return names


def published_runtimes(summaries: Summaries, facts: Facts) -> dict[str, float]:
    """Method -> the paper's own seconds an image, by our names."""
    return {our_name(title, summaries, facts): row["runtime_s"] for title, row in published_table(2).rows.items()}


def our_name(title: str, summaries: Summaries, facts: Facts) -> str:
    """Registry name of a published row: the first of its names that this run has, else the first one."""
    names = _names(title)
    here = {*facts.methods, *facts.absent_methods, *(method for method, _ in summaries)}
    return next((name for name in names if name in here), names[0])


@dataclass(frozen=True)
class _Filling:
    """What our rows are filled from."""

    summaries: Summaries
    facts: Facts
    runtimes: Clocks
    notes: Notes

    def row(self, title: str, ids: Sequence[str], columns: Sequence[Column]) -> Row:
        """Our row under a published title, or a method's own where `title` is a registry name."""
        name = our_name(title, self.summaries, self.facts)
        entries = tuple(self._entry(name, c, column) for c, column in zip(ids, columns, strict=True))
        printed = title in _layout()["names"] or title in _titles_of_all()
        return Row(name, title if printed else method_title(name, self.facts.titles), entries)

    def _entry(self, name: str, column_id: str, column: Column) -> Entry:
        if name not in self.facts.absent_methods and not any(method == name for method, _ in self.summaries):
            return Entry(word="not run", note=self.notes.number("Not part of this run."))
        if column.metric.name in CLOCK:
            value = self.runtimes.get(name, {}).get(column.metric.name)
            if value is None and not is_reference(name, self.facts.references):
                note = "Not timed here." if column.metric.name != "runtime_published" else "The paper gives no time."
                return Entry(word=DASH, note=self.notes.number(note))
            return Entry(word=DASH) if value is None else Entry(value)
        both = _layout()["columns"][column_id].get("mean_of", ())
        mean = _mean_entry([self.summaries.get((name, p), {}).get(_key(column)) for p in both], self.notes)
        return mean or entry(self.summaries, self.facts, name, column, self.notes)


def _titles_of_all() -> set[str]:
    return {title for which in (1, 2, 3) for title in _titles(which)}


def _key(column: Column) -> str:
    return f"{column.metric.name}@{column.protocol}"


def _mean_entry(cells: Sequence[Cell | None], notes: Notes) -> Entry | None:
    """The paper's one viewpoint column: the mean of both directions (protocol card, 4.3), when both are there.

    Both are made of the same images, so their errors may go together: the mean of the bounds is the widest that the
    interval of the mean can be.
    """
    values = [number(cell) for cell in cells]
    if not cells or any(value is None for value in values):
        return None
    there = [cell for cell in cells if cell is not None]
    bounds = [interval(cell) for cell in there]
    note = notes.number("Mean of both directions; its interval is as wide as theirs are on average, never too narrow.")
    mean = sum(value for value in values if value is not None) / len(values)
    low, high = (sum(bound[end] for bound in bounds if bound) / len(bounds) if all(bounds) else None for end in (0, 1))
    counts = min(c.n for c in there), sum(c.failed for c in there)
    part = next(filter(None, map(part_text, there)), "")
    return Entry(mean, low, high, *counts, rule=there[0].rule, note=note, part=part)


def _with_published(source: PublishedTable, title: str, ids: Sequence[str], row: Row, notes: Notes) -> list[Row]:
    numbers = source.rows.get(title)
    if numbers is None:
        return [row]
    # As printed: two decimals, four for seconds.
    entries = tuple(
        Entry(numbers[c], decimals=4 if c == "runtime_s" else 2)
        if c in numbers
        else Entry(word=DASH, note=notes.number("The paper does not give this number."))
        for c in ids
    )
    return [row, Row(row.name, "as published", entries, "published", row.group)]


def difference_csv(which: int, summaries: Summaries, facts: Facts, protocol: str) -> str:
    """Ours against published, cell by cell; empty text where the protocol may not be compared with the paper."""
    if not stands_beside(protocol):
        return ""
    table = paper_table(which, summaries, facts, protocol, with_published=False)
    source = published_table(which)
    ids = _scored(which, summaries, facts)
    head = ["row", "method", "column", "ours", "low", "high", "published", "difference", "relative", "inside"]
    rows = [
        [title, row.name, column, *_difference(own, source.rows[title][column])]
        for title, row in zip(_titles(which), table.rows, strict=False)
        for column, own in zip(ids, row.entries, strict=True)
    ]
    return csv_text(pd.DataFrame(rows, columns=head, dtype=object))


def _difference(own: Entry, printed: float) -> list[float | str | None]:
    if own.value is None:
        return [None, None, None, printed, None, None, own.word]
    gap = own.value - printed
    inside = ""
    if own.low is not None and own.high is not None:
        inside = "yes" if own.low <= printed <= own.high else "no"
    return [own.value, own.low, own.high, printed, gap, gap / printed if printed else None, inside]
