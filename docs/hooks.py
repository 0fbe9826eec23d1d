"""mkdocs: what is made when the site is built, so that it cannot be out of date.

The command reference from the parsers, the results file's schema, and the page of the repository's own leaderboard.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(_ROOT))


def on_page_markdown(markdown: str, *, page: Any, **_: object) -> str:
    """The text of a page before it is rendered."""
    if page.file.src_uri != "commands.md":
        return markdown
    from bench.cli.reference import reference

    return reference()


def on_files(files: Any, *, config: Any) -> Any:
    """The pages and files of the site: the schema lies beside the page that explains it."""
    from mkdocs.structure.files import File

    from reports.results_file.record import SCHEMA

    files.append(File.generated(config, SCHEMA.name, content=SCHEMA.read_text(encoding="utf-8")))
    return files


def on_post_build(*, config: Any, **_: object) -> None:
    """The leaderboard's page and its files, beside the site's pages."""
    from reports.leaderboard.board import read_folder
    from reports.leaderboard.page import render

    source, site = _ROOT / "leaderboard", Path(config["site_dir"]) / "leaderboard"
    shutil.copytree(source, site, ignore=shutil.ignore_patterns("*.md", "*.html"))
    page = site / "index.html"
    page.write_text(render(read_folder(site), "Leaderboard", site, page), encoding="utf-8")
