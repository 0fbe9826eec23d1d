"""mkdocs: the command reference is made from the parsers when the site is built, so it cannot be out of date."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))


def on_page_markdown(markdown: str, *, page: Any, **_: object) -> str:
    """The text of a page before it is rendered."""
    if page.file.src_uri != "commands.md":
        return markdown
    from bench.cli.reference import reference

    return reference()
