"""Footnotes of tables: numbered once, on floors, on the images of a pass, on the sizes of sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from reports.columns import split_column
from reports.inputs import Facts, Summaries, needed_count, reference_count
from reports.naming import REFERENCE_NOTES, is_reference, method_title, split_pass

if TYPE_CHECKING:
    from reports.table import Column, Row


class Notes:
    """Footnotes in order of first use; the same sentence has one number."""

    def __init__(self) -> None:
        self.sentences: list[str] = []

    def number(self, sentence: str) -> int:
        """The footnote's number, counted from 1."""
        if sentence not in self.sentences:
            self.sentences.append(sentence)
        return self.sentences.index(sentence) + 1


def noted_floors(floors: Sequence[Row], columns: Sequence[Column], notes: Notes) -> list[Row]:
    """The reference rows that have a number, each with the footnote that says what it measures."""
    shown = [floor for floor in floors if any(entry.value is not None for entry in floor.entries)]
    return [replace(floor, note=_reference_note(floor, columns, notes)) for floor in shown]


def add_notes(summaries: Summaries, facts: Facts, columns: Sequence[Column], notes: Notes) -> None:
    """Footnotes on the images of the columns' passes: those taken for want of a label, and the sizes of the sets."""
    titles = {column.pass_name.name: column.pass_name.title for column in columns}
    said: dict[str, list[str]] = {}
    for name, title in titles.items():
        if note := facts.pass_notes.get(name):
            said.setdefault(note, []).append(title)
    for note, passes in said.items():
        notes.number(f"{', '.join(passes)}: {note}.")
    if sizes := _set_sizes(summaries, facts, columns):
        notes.number(f"Pictures made / real pictures that sets are compared by: {sizes}.")


def note_small_sets(summaries: Summaries, facts: Facts, protocol: str, notes: Notes) -> None:
    """A footnote on the set metrics that the protocol gives no number here, since their sets are too small."""
    found: dict[tuple[str, int, int], list[str]] = {}
    for (method, pass_name), cells in summaries.items():
        for key, cell in cells.items():
            metric, own = split_column(key)
            needed = needed_count(cell)
            if own == protocol and needed is not None and not is_reference(method, facts.references):
                passes = found.setdefault((facts.metric(metric, protocol).label, cell.n, needed), [])
                title = split_pass(pass_name).title
                passes += [title] if title not in passes else []
    for (label, count, needed), passes in found.items():
        notes.number(
            f"{label} of {', '.join(passes)} compares different people and is left out: with {count:,} pictures it "
            f"cannot tell a perfect edit from none; {protocol} gives it from {needed:,}."
        )


def note_matched(facts: Facts, columns: Sequence[Column], notes: Notes) -> None:
    """A footnote on matched strengths: what share of each method's range the common change is."""
    for name in dict.fromkeys(column.pass_name.name for column in columns):
        shares = {method: share for (method, pass_name), share in facts.range_shares.items() if pass_name == name}
        if shares:
            said = ", ".join(
                f"{method_title(method, facts.titles)} {100 * share:.0f} %" for method, share in shares.items()
            )
            notes.number(
                f"{split_pass(name).title}: matched strengths. The change compared is this share of the largest one "
                f"that each method reaches: {said}."
            )


def _set_sizes(summaries: Summaries, facts: Facts, columns: Sequence[Column]) -> str:
    """ "Reconstruction 2,824 / 2,824; Smile + 1,485 / 1,339", for the set metrics among the columns.

    Empty where every pass compares sets of one size: the headings' n says it.
    """
    sizes: dict[tuple[int, int], list[str]] = {}
    for column in dict.fromkeys(columns):
        key = f"{column.metric.name}@{column.protocol}"
        cells = [
            found[key]
            for (method, name), found in summaries.items()
            if name == column.pass_name.name and key in found and not is_reference(method, facts.references)
        ]
        counts = [(cell.n, real) for cell in cells if cell.n and (real := reference_count(cell)) is not None]
        if counts:
            passes = sizes.setdefault(max(counts), [])
            passes += [column.pass_name.title] if column.pass_name.title not in passes else []
    if all(made == real for made, real in sizes):
        return ""
    return "; ".join(f"{', '.join(passes)} {made:,} / {real:,}" for (made, real), passes in sizes.items())


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
