"""Footnotes of tables: numbered once, on floors, on the images of a pass, on the sizes of sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from reports.columns import split_column
from reports.inputs import Facts, Summaries, needed_count, reference_count
from reports.naming import REFERENCE_NOTES, is_reference, listed, method_title, split_pass

if TYPE_CHECKING:
    from reports.table import Block, Column, Row


class Notes:
    """Footnotes in order of first use; the same sentence has one number."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def number(self, sentence: str) -> int:
        """The footnote's number, counted from 1."""
        if sentence not in self.sentences:
            self.sentences.append(sentence)
        return self.sentences.index(sentence) + 1


# What a block of columns is noted with: column -> numbers of its footnotes.
ColumnNotes = dict["Column", list[int]]


def noted_blocks(blocks: Sequence[Block], noted: Mapping[Column, Sequence[int]]) -> tuple[Block, ...]:
    """Blocks with the footnotes of their columns, so that each footnote has a place that points to it."""
    found = []
    for block in blocks:
        numbers = dict.fromkeys(number for column in block.columns for number in noted.get(column, ()))
        found.append(replace(block, notes=tuple(sorted(numbers))))
    return tuple(found)


def noted_floors(floors: Sequence[Row], columns: Sequence[Column], notes: Notes) -> list[Row]:
    """Reference rows, each with the footnote that says what it measures."""
    return [replace(floor, note=_reference_note(floor, columns, notes)) for floor in floors]


def has_number(row: Row) -> bool:
    """Whether any cell of a row has one."""
    return any(entry.value is not None for entry in row.entries)


def add_notes(summaries: Summaries, facts: Facts, columns: Sequence[Column], notes: Notes) -> ColumnNotes:
    """Footnotes on the images of the columns' passes: those taken for want of a label, the sizes of the sets, and
    columns of too few images to mark anything."""
    noted: ColumnNotes = {}
    said: dict[str, list[Column]] = {}
    for column in columns:
        if note := facts.pass_notes.get(column.pass_name.name):
            said.setdefault(note, []).append(column)
    for note, own in said.items():
        titles = dict.fromkeys(column.pass_name.title for column in own)
        _attach(noted, own, notes.number(f"{', '.join(titles)}: {note}."))
    sizes, sets = _set_sizes(summaries, facts, columns)
    if sizes:
        _attach(noted, sets, notes.number(f"Images made / real images that sets are compared by: {sizes}."))
    _note_fewer(summaries, facts, columns, notes, noted)
    _note_few(summaries, facts, columns, notes, noted)
    return noted


def image_count(summaries: Summaries, facts: Facts, columns: Sequence[Column], pass_name: str) -> int:
    """Most images that went into any of these columns in a pass, of any method; 0 where there is none."""
    return max(_image_counts(summaries, facts, columns, pass_name), default=0)


def _image_counts(summaries: Summaries, facts: Facts, columns: Sequence[Column], pass_name: str) -> list[int]:
    wanted = {f"{column.metric.name}@{column.protocol}" for column in columns if column.pass_name.name == pass_name}
    sizes = [
        cell.n + (cell.failed if cell.rule != "zero" else 0)
        for (method, own), cells in summaries.items()
        if own == pass_name and not is_reference(method, facts.references)
        for key, cell in cells.items()
        if key in wanted
    ]
    return [size for size in sizes if size]


def _note_fewer(
    summaries: Summaries, facts: Facts, columns: Sequence[Column], notes: Notes, noted: ColumnNotes
) -> None:
    """A footnote on columns that leave some of their pass's images out: how many they have, and which they lack."""
    lacking: dict[tuple[str, str], list[tuple[Column, str]]] = {}
    for column in columns:
        own = _image_counts(summaries, facts, [column], column.pass_name.name)
        if column.metric.without and own and min(own) < image_count(summaries, facts, columns, column.pass_name.name):
            shown = f"{max(own):,}" if len({*own}) == 1 else f"{min(own):,} to {max(own):,}"
            lacking.setdefault((column.pass_name.block, column.metric.without), []).append((column, shown))
    for (block, without), found in lacking.items():
        counts = listed([f"{column.label} over {shown}" for column, shown in found])
        number = notes.number(f"{block}: {counts} images, without {without}.")
        _attach(noted, [column for column, _ in found], number)


def _attach(noted: ColumnNotes, columns: Sequence[Column], number: int) -> None:
    for column in columns:
        noted.setdefault(column, []).append(number)


def _note_few(summaries: Summaries, facts: Facts, columns: Sequence[Column], notes: Notes, noted: ColumnNotes) -> None:
    for column in columns:
        key, smallest = f"{column.metric.name}@{column.protocol}", facts.smallest_marked(column.protocol)
        sizes = [
            cells[key].n
            for (method, own), cells in summaries.items()
            if own == column.pass_name.name and key in cells and not is_reference(method, facts.references)
        ]
        most = max(sizes, default=0)
        if most == 1:
            sentence = (
                "n = 1: a single image has no interval and no distance of sets; the best is marked from "
                f"n = {smallest} on."
            )
        elif 0 < most < smallest and len(sizes) > 1 and column.metric.better != "none":
            sentence = f"Too few images to call a method better: the best is marked from n = {smallest} on."
        else:
            continue
        _attach(noted, [column], notes.number(sentence))


def small_set_note(label: str, title: str, count: int, needed: int, protocol: str) -> str:
    """Why a set metric has no number here: its sets are too small."""
    if count < 2:
        return f"{label}: a distance between sets needs more than one image."
    return (
        f"{label} of {title} compares different people and is left out: with {count:,} images it cannot tell a "
        f"perfect edit from none; {protocol} gives it from {needed:,}."
    )


def note_small_sets(
    summaries: Summaries, facts: Facts, protocol: str, columns: Sequence[Column], notes: Notes, noted: ColumnNotes
) -> None:
    """A footnote on the set metrics that the protocol gives no number here, since their sets are too small."""
    found: dict[tuple[str, int, int], dict[str, str]] = {}
    for (method, column), cells in summaries.items():
        for key, cell in cells.items():
            metric, own = split_column(key)
            needed = needed_count(cell)
            if own == protocol and needed is not None and not is_reference(method, facts.references):
                passes = found.setdefault((facts.metric(metric, protocol).label, cell.n, needed), {})
                passes[column] = split_pass(column).block
    for (label, count, needed), passes in found.items():
        own_columns = [column for column in columns if column.pass_name.name in passes]
        if own_columns:
            sentence = small_set_note(label, ", ".join(dict.fromkeys(passes.values())), count, needed, protocol)
            _attach(noted, own_columns, notes.number(sentence))


def note_matched(facts: Facts, columns: Sequence[Column], notes: Notes, noted: ColumnNotes) -> None:
    """A footnote on matched strengths: what share of each method's range the common change is."""
    for name in dict.fromkeys(column.pass_name.name for column in columns):
        shares = {method: share for (method, pass_name), share in facts.range_shares.items() if pass_name == name}
        if shares:
            said = ", ".join(
                f"{method_title(method, facts.titles)} {100 * share:.0f} %" for method, share in shares.items()
            )
            number = notes.number(
                f"{split_pass(name).title}: matched strengths. The change compared is this share of the largest one "
                f"that each method reaches: {said}."
            )
            _attach(noted, [column for column in columns if column.pass_name.name == name], number)


def _set_sizes(summaries: Summaries, facts: Facts, columns: Sequence[Column]) -> tuple[str, list[Column]]:
    """ "Reconstruction 2,824 / 2,824; Smile + 1,485 / 1,339", for the set metrics among the columns, and those.

    Empty where every pass compares sets of one size: the headings' n says it.
    """
    sizes: dict[tuple[int, int], list[str]] = {}
    sets = []
    for column in dict.fromkeys(columns):
        key = f"{column.metric.name}@{column.protocol}"
        cells = [
            found[key]
            for (method, name), found in summaries.items()
            if name == column.pass_name.name and key in found and not is_reference(method, facts.references)
        ]
        counts = [(cell.n, real) for cell in cells if cell.n and (real := reference_count(cell)) is not None]
        if counts:
            sets.append(column)
            passes = sizes.setdefault(max(counts), [])
            passes += [column.pass_name.title] if column.pass_name.title not in passes else []
    if all(made == real for made, real in sizes):
        return "", []
    return "; ".join(f"{', '.join(passes)} {made:,} / {real:,}" for (made, real), passes in sizes.items()), sets


def _reference_note(floor: Row, columns: Sequence[Column], notes: Notes) -> int:
    """Footnote of a floor: what it measures, and for halves on how many images in each block."""
    about = REFERENCE_NOTES.get(floor.name)
    if about is None:
        return 0
    counts: dict[str, dict[int, None]] = {}
    for column, own in zip(columns, floor.entries, strict=True):
        if own.value is not None:
            counts.setdefault(column.pass_name.block, {}).setdefault(own.n)
    shown = ", ".join(f"{title} {' / '.join(f'{n:,}' for n in own)}" for title, own in counts.items())
    images = f" (n: {shown})" if floor.name == "real-halves" else ""
    return notes.number(f"{floor.title}: {about}{images}.".replace("..", "."))
