"""Plain tables, talk and JSON: how commands say their answers."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from bench.cli.program import as_typed
from bench.core.text_table import wrapped

# What a table on the terminal shows: the telling columns, or every one.
COLUMNS = ("few", "all")
# Wider than any line: nothing is broken.
ENDLESS = 1 << 20


def columns_here() -> int:
    """Columns of the terminal; ENDLESS where stdout is none (piped, in a file): a row is one line there, for `grep`."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else ENDLESS


def show(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool = False, width: int = 0) -> None:
    """Print rows: as JSON all of them, else the named columns aligned, the last one broken at the width.

    `width`: 0 is `columns_here()`.
    """
    if as_json:
        print(json.dumps(list(rows), ensure_ascii=False, default=str))
        return
    table = [list(columns), *([as_typed(_text(row.get(column))) for column in columns] for row in rows)]
    print("\n".join(wrapped(table, width=width or columns_here())))


def say(text: str) -> None:
    """Print an answer."""
    print(as_typed(text))


def tell(text: str) -> None:
    """Talk goes to stderr; the answer alone to stdout."""
    print(as_typed(text), file=sys.stderr, flush=True)


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
