"""What a table is, as pure data: blocks of columns, rows of entries, footnotes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal

from reports.columns import Metric
from reports.naming import PassName, listed

ORIGINAL = "original"
# Columns that a page's width has room for, on paper and on a screen, without scaling.
PAGE_COLUMNS = 6
DASH = "–"
Mark = Literal["", "best", "second", "apart"]
Kind = Literal["method", "reference", "published"]


@dataclass(frozen=True)
class Column:
    """One column: a metric of a pass under a protocol.

    Attributes:
        pass_name: The pass, taken apart; for a column the paper averages over several passes, the first of them.
        metric: Label, direction, digits and help.
        protocol: The protocol's name.
    """

    pass_name: PassName
    metric: Metric
    protocol: str

    @property
    def name(self) -> str:
        """Full name: "smile+:fid@paper-1"."""
        return f"{self.pass_name.name}:{self.metric.name}@{self.protocol}"

    @property
    def label(self) -> str:
        """Heading inside its block: "FID−"."""
        return self.metric.label + self.pass_name.sign.replace("-", "−")

    @property
    def heading(self) -> str:
        """Heading with the arrow of the better direction: "FID− ↓"."""
        return f"{self.label} {self.metric.arrow}".rstrip()


@dataclass(frozen=True)
class Block:
    """Neighbouring columns under one heading; `counts` are images a pass, in the order of its signs, and `notes` the
    numbers of the footnotes on its images."""

    title: str
    columns: tuple[Column, ...]
    counts: tuple[int, ...] = ()
    notes: tuple[int, ...] = ()

    @property
    def label(self) -> str:
        """The title with the numbers of its footnotes, for plain text: "Smile (3)"."""
        return f"{self.title} ({self.note_text})" if self.notes else self.title

    @property
    def note_text(self) -> str:
        """ "3, 4", or an empty text."""
        return ", ".join(map(str, self.notes))

    @property
    def count_text(self) -> str:
        """ "n = 1,485 / 1,339", or an empty text where nothing was counted."""
        shown = self.counts[:1] if len(set(self.counts)) == 1 else self.counts
        return "n = " + " / ".join(f"{count:,}" for count in shown) if shown else ""


@dataclass(frozen=True)
class Entry:
    """What stands in one cell: a number with its interval, or a word that says why there is none.

    Attributes:
        value, low, high: None where there is no number or no interval.
        n, failed, rule: See `inputs.Cell`.
        word: "missing", "not released", "n/a", "failed" or a dash when there is no number.
        note: Number of the footnote; 0 for none.
        mark: "best" and "second" only where told from every other method (see `standing`); "apart": a
            difference that tells a method from the best.
        decimals: Digits after the point, where they are not the column's (a published number is shown as printed).
        part: Of an unfinished cell, what is there: "64 of 200"; such a column has no marks.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    failed: int = 0
    rule: str = ""
    word: str = ""
    note: int = 0
    mark: Mark = ""
    decimals: int | None = None
    part: str = ""


@dataclass(frozen=True)
class Row:
    """One row: `name` is the registry name, `entries` run along the table's columns.

    Rows of one `group` stand together; a named group has a heading. `note` is the row's own footnote, 0 for none.
    `strengths`: pass -> signed strength of the method's edit.
    """

    name: str
    title: str
    entries: tuple[Entry, ...]
    kind: Kind = "method"
    group: str = ""
    note: int = 0
    strengths: Mapping[str, float] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The title with the number of its footnote, for plain text: "Real halves (1)"."""
        return f"{self.title} ({self.note})" if self.note else self.title

    @property
    def absent(self) -> Entry | None:
        """The one word of a row that has no number at all, for one reason everywhere; None for any other row."""
        alike = {(entry.word, entry.note) for entry in self.entries}
        return self.entries[0] if len(alike) == 1 and self.entries[0].note and self.entries[0].value is None else None


@dataclass(frozen=True)
class Part:
    """Some columns of a block, few enough to be seen at once.

    Attributes:
        block, columns: The block, and its columns that are in this part.
        start: Place of the first of them among the table's columns.
        first: Whether it is the block's first part.
    """

    block: Block
    columns: tuple[Column, ...]
    start: int
    first: bool

    def of(self, row: Row) -> tuple[Entry, ...]:
        """A row's entries in these columns."""
        return row.entries[self.start : self.start + len(self.columns)]

    def has_number(self, row: Row) -> bool:
        """Whether any of them has one."""
        return any(entry.value is not None for entry in self.of(row))


@dataclass(frozen=True)
class Table:
    """A finished table of one protocol.

    Attributes:
        slug: File name without suffix ("scores@paper-1").
        title: Caption.
        protocol: The one protocol of every number in it.
        blocks, rows, notes: What it shows; footnote k is `notes[k - 1]`.
        warning: Why its numbers mean nothing or are not all, where that is so; writers put it first.
        unfinished: The part of it that says that the run lacks results; for CSV, which has no head.
        smallest: Fewest images from which anything is marked.
        verdicts: Who leads in what, a sentence a block.
        remarks: What must be known before its numbers are compared, each with the titles of the blocks it is about.
        compared: Whether its entries are differences to the best of their column.
    """

    slug: str
    title: str
    protocol: str
    blocks: tuple[Block, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    warning: str = ""
    unfinished: str = ""
    smallest: int = 30
    verdicts: tuple[str, ...] = ()
    remarks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    compared: bool = False

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of all blocks, in order."""
        return tuple(column for block in self.blocks for column in block.columns)

    @property
    def units(self) -> str:
        """What the numbers of its columns are in, "PSNR in dB, EPE moving in px"; empty where none has a unit."""
        return units_text(self.columns)

    @property
    def metrics(self) -> list[Metric]:
        """The metrics of its columns, each once, in their order."""
        return list({column.metric.name: column.metric for column in self.columns}.values())

    def parts(self, most: int | None = None, sizes: Sequence[int] = ()) -> list[Part]:
        """The blocks, those of more than `most` columns in pieces; the + and - of a metric stay together.

        `sizes`: how much of `most` each of the table's columns takes; 1 where none are given.
        """
        found, start = [], 0
        for block in self.blocks:
            at = end = start
            used = 0
            for _, alike in groupby(block.columns, key=lambda column: column.metric):
                count = len(list(alike))
                need = sum(sizes[end : end + count]) if sizes else count
                if most is not None and end > at and used + need > most:
                    found.append(Part(block, self.columns[at:end], at, at == start))
                    at, used = end, 0
                end, used = end + count, used + need
            found.append(Part(block, self.columns[at:end], at, at == start))
            start = end
        return found


def units_text(columns: Iterable[Column]) -> str:
    """Labels of the columns that have a unit, a unit each: "PSNR and PSNR asked in dB, EPE moving in px"."""
    found: dict[str, dict[str, None]] = {}
    for column in columns:
        if column.metric.unit:
            found.setdefault(column.metric.unit, {})[column.metric.label] = None
    return ", ".join(f"{listed([*labels])} in {unit}" for unit, labels in found.items())
