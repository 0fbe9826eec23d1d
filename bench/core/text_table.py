"""Tables of plain text: the one way rows become aligned lines, on a terminal and in text and Markdown files.

A cell is a text on one line (white space in it counts as one blank), and every row has a cell for every column.
Columns stand two blanks apart, on the left but for those named in `right`; no line ends in a blank. A letter counts as
one column, whatever a terminal makes of it: what a file holds depends on none. Nothing is ever cut: a last column is
broken between words, and a line is longer than it may be only where the other columns alone are, or a single word.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from textwrap import wrap

# Columns that every terminal has.
WIDTH = 80
# Below this a last column has no room beside the others.
ROOM = 24
# Between two columns.
GAP = "  "
_INDENT = "    "
# Between two cells: `str.split` takes it for white space, so no cell has one.
_BETWEEN = "\x1f"

Rows = Sequence[Sequence[str]]


def padded(rows: Rows, right: Collection[int] = ()) -> list[list[str]]:
    """The cells, each as wide as its column; those of the columns `right` (from 0) end where the column does."""
    import tabulate

    if not rows or not rows[0]:
        return [[] for _ in rows]
    tabulate.WIDE_CHARS_MODE = False
    # A line's own blanks at its end fall off, so it ends in a mark.
    row = tabulate.DataRow("", _BETWEEN, "|")
    text = tabulate.tabulate(
        [[" ".join(cell.split()) for cell in cells] for cells in rows],
        tablefmt=tabulate.TableFormat(None, None, None, None, row, row, 0, None),
        colalign=["right" if at in right else "left" for at in range(len(rows[0]))],
        disable_numparse=True,
    )
    return [line[:-1].split(_BETWEEN) for line in text.split("\n")]


def aligned(rows: Rows, right: Collection[int] = ()) -> list[str]:
    """The rows as lines, of any length."""
    return [GAP.join(cells).rstrip() for cells in padded(rows, right)]


def wrapped(rows: Rows, right: Collection[int] = (), *, indent: str = "", width: int = WIDTH) -> Iterator[str]:
    """Lines of at most `width`, nothing left out: the last cell goes on below itself, broken between words.

    Where the other columns leave it less than ROOM it stands below its row, in every row, the heads too.
    """
    table = padded(rows, right)
    start = indent + "".join(cell + GAP for cell in table[0][:-1]) if table else ""
    beside = width - len(start) >= ROOM
    for *cells, last in table:
        line = indent + "".join(cell + GAP for cell in cells)
        first, below = (line, " " * len(line)) if beside else (indent + _INDENT, indent + _INDENT)
        if not beside:
            yield line.rstrip()
        # A word longer than a line (a path, an address) stays whole, to be copied.
        lines = wrap(
            last, width, initial_indent=first, subsequent_indent=below, break_on_hyphens=False, break_long_words=False
        )
        yield from lines or ([line.rstrip()] if beside else [])


def markdown_lines(rows: Rows) -> list[str]:
    """A Markdown table whose first row is the heads, with numbers in all columns but the first; the cells are
    escaped already.
    """
    first, *others = (max(map(len, column)) for column in zip(*rows, strict=True))
    rule = ["-" * max(3, first), *("-" * max(2, width - 1) + ":" for width in others)]
    return [f"| {' | '.join(cells)} |" for cells in padded([rows[0], rule, *rows[1:]])]
