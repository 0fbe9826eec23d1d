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
    from tabulate import tabulate

    table = [list(columns), *([_text(row.get(column)) for column in columns] for row in rows)]
    heads = tabulate([row[:-1] for row in table], tablefmt="plain", disable_numparse=True).splitlines()
    room = width - max(map(len, heads)) - 2
    for number, (head, row) in enumerate(zip(heads, table, strict=True)):
        if room < 24:
            print(head.rstrip())
            if number and row[-1]:
                print("    " + shorten(row[-1], width - 4, placeholder=" ..."))
        else:
            print(f"{head:<{width - room}}{shorten(row[-1], room, placeholder=' ...')}".rstrip())


def tell(text: str) -> None:
    """Talk goes to stderr; the answer alone to stdout."""
    print(text, file=sys.stderr, flush=True)


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
