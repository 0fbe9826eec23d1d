"""The leaderboard's page: tables of the report page, sortable without a network, and what made each row."""

from __future__ import annotations

import base64
import hashlib
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from reports.leaderboard.board import Board, Entry
from reports.numbers import count_text, interval_text, value_text
from reports.table import PAGE_COLUMNS, Table

_PAGE = Path(__file__).parents[1] / "page"


def render(boards: Sequence[Board], title: str, folder: Path, target: Path) -> str:
    """The page as text; `target` is where it will lie, for the links to the results files below `folder`."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([Path(__file__).parent, _PAGE]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(value=value_text, interval=interval_text, count=count_text)
    script = (_PAGE / "page.js").read_text(encoding="utf-8")
    return str(
        environment.get_template("leaderboard.html.j2").render(
            css=(_PAGE / "style.css").read_text(encoding="utf-8"),
            script=script,
            script_hash="sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
            title=title,
            boards=[(board, [_shown(table) for table in board.tables()]) for board in boards],
            link=lambda entry: _link(entry, target),
            said=_said,
            made=_made,
            strengths=_strengths,
            files=_files,
        )
    )


def _shown(table: Table) -> dict[str, Any]:
    """What the report page's own template draws: a table and the pieces that a screen has room for."""
    return {"table": table, "parts": table.parts(PAGE_COLUMNS)}


def _link(entry: Entry, target: Path) -> str:
    """From the page to a results file."""
    return quote(Path(os.path.relpath(entry.file, target.parent)).as_posix())


def _said(entry: Entry) -> dict[str, str]:
    """What a submission says of its method; empty texts where it says nothing."""
    return dict.fromkeys(("paper", "authors", "venue", "link", "note"), "") | entry.method.get("about", {})


def _made(entry: Entry) -> list[str]:
    """The commands that made a row, each with its kind of machine and versions."""
    return [
        f"{shlex.join(source['command'])}  # {_words(source['machine'])}; {_words(source['versions'])}"
        for source in entry.sources
    ]


def _words(values: dict[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _strengths(entry: Entry) -> str:
    """ "smile+ 3, pose− −3": of the edits alone."""
    found = {name: value for name, value in entry.method["strengths"].items() if value}
    return ", ".join(f"{name} {value:g}".replace("-", "−") for name, value in found.items())


def _files(entry: Entry) -> str:
    """Names and first digits of its weights."""
    return ", ".join(f"{file['name']} {file['sha256'][:8]}" for file in entry.method["files"]) or "none"
