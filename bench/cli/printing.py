"""Plain tables and JSON for the answers of commands."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from textwrap import shorten
from typing import Any

# What a table on the terminal shows: the telling columns, or every one.
COLUMNS = ("few", "all")


def show(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool = False, width: int = 80) -> None:
    """Print rows: as JSON all of them, else the named columns aligned, the last one cut to the width.

    A table that cannot fit puts the last column on a line of its own below each row.
    """
    if as_json:
        print(json.dumps(list(rows), ensure_ascii=False, default=str))
        return
    cells = [[_text(row.get(column)) for column in columns] for row in rows]
    widths = [
        max(len(column), *(len(row[i]) for row in cells)) if cells else len(column) for i, column in enumerate(columns)
    ]
    head = sum(widths[:-1]) + 2 * (len(widths) - 1)
    below = width - head < 24
    for row in [list(columns), *cells]:
        *first, last = row
        line = "  ".join(text.ljust(size) for text, size in zip(first, widths, strict=False))
        if below:
            print(line.rstrip())
            if row is not cells and last and row[0] != columns[0]:
                print("    " + shorten(last, width - 4, placeholder=" ..."))
        else:
            print(f"{line}  {shorten(last, width - head, placeholder=' ...')}".rstrip())


def tell(text: str) -> None:
    """Talk goes to stderr; the answer alone to stdout."""
    print(text, file=sys.stderr, flush=True)


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
