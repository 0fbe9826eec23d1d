"""One `index.html` with everything in it; nothing is loaded from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import floor, log10
from pathlib import Path
from typing import Any

from PIL import Image

from bench.core.names import kept_as
from reports.checked import Checked
from reports.claims import Finding
from reports.failures import Failure
from reports.figures.grids import Grid
from reports.figures.plots import Drawing
from reports.inputs import Facts
from reports.naming import method_title, split_pass
from reports.numbers import count_text, interval_text, value_text
from reports.page.distributions import Spread
from reports.page.explorer import webp_uri
from reports.page.origins import cited, origins
from reports.page.reproduce import commands, digests, facts_of_record
from reports.standing import difference_text, rule_text
from reports.table import PAGE_COLUMNS, Part, Table
from reports.timing_table import Timings

SHEET_SIDE = 1600
_LONG_LISTS = ("pictures",)


@dataclass(frozen=True)
class Content:
    """Everything the page shows.

    Attributes:
        tables: Score tables, then those in the paper's layout.
        drawings, grids: Figures and image grids.
        explorer: What the image explorer shows (`explorer_data`), or None.
        checked: What the rows say of the paper's claims and proxies.
        failures: What failed.
        timings: Runtimes, or None.
        facts, manifest: The run's record of itself.
        files: Names of the other files of the report, relative to the page.
        spreads: Slug of a table -> how its values spread over the images.
        sheets: Grid by name -> its data URI, where that was made already (`sheet`).
    """

    tables: Sequence[Table]
    drawings: Sequence[Drawing]
    grids: Sequence[Grid]
    explorer: Mapping[str, Any] | None
    checked: Sequence[Checked]
    failures: Sequence[Failure]
    timings: Timings | None
    facts: Facts
    manifest: Mapping[str, Any]
    files: Sequence[str]
    sheets: Mapping[str, str] = field(default_factory=dict)
    spreads: Mapping[str, Sequence[Spread]] = field(default_factory=dict)


def render(content: Content) -> str:
    """The page as text. Everything from outside is escaped; images are data URIs."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    folder = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found = origins(content.manifest, content.facts)
    script = (folder / "page.js").read_text(encoding="utf-8")
    environment.filters.update(
        plot=_plot,
        sheet=lambda grid: content.sheets.get(grid.name) or sheet(grid),
        value=value_text,
        interval=interval_text,
        count=count_text,
        method=_method(content.facts),
        edit=_edit,
        signed=_signed,
        decimals=_decimals,
    )
    return str(
        environment.get_template("index.html.j2").render(
            css=(folder / "style.css").read_text(encoding="utf-8"),
            script=script,
            script_hash="sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
            explorer=_script_json(content.explorer),
            content=content,
            facts=content.facts,
            verdicts=[
                (table.title, [*table.verdicts, *table.remarks])
                for table in content.tables
                if not table.slug.startswith("all@") and table.verdicts
            ],
            record=facts_of_record(content.manifest),
            commands=commands(content.manifest),
            digests=digests(content.manifest),
            origins=found,
            bibtex=cited(found),
            shown=[_Shown(table, content) for table in content.tables if not table.compared],
            thumbnail=_thumbnails(content),
            manifest_text=_manifest_text(content.manifest),
            rule_text=rule_text,
            difference_text=difference_text,
        )
    )


@dataclass(frozen=True)
class _Shown:
    """A table with what is folded below it."""

    table: Table
    content: Content

    @property
    def folded(self) -> bool:
        return self.table.slug.startswith("all@")

    @property
    def parts(self) -> list[Part]:
        return self.table.parts(PAGE_COLUMNS)

    @property
    def differences(self) -> _Shown | None:
        slug = f"differences-{self.table.slug}"
        own = [table for table in self.content.tables if table.slug == slug]
        return _Shown(own[0], self.content) if own else None

    @property
    def spreads(self) -> Sequence[Spread]:
        return self.content.spreads.get(self.table.slug, ())


def _thumbnails(content: Content) -> Callable[[str], str]:
    """Image name -> data URI of its small copy, where the run kept it; else an empty text."""
    pictures = (content.explorer or {}).get("pictures", {})
    # Of images that would be kept under one name, the first one was.
    first = {kept_as(name): name for name in reversed([*(content.manifest.get("pictures") or ())])}

    def thumbnail(name: str) -> str:
        own = kept_as(name)
        return str(pictures.get(f"input\t{own}", "")) if first.get(own, name) == name else ""

    return thumbnail


def _plot(png: bytes) -> str:
    """A plot as a data URI, exact."""
    with Image.open(io.BytesIO(png), formats=("PNG",)) as image:
        return webp_uri(image.convert("RGB"), max(image.size), lossless=True)


def sheet(grid: Grid) -> str:
    """A grid for the page: exact where it is small, else reduced; the PNG beside the page is whole."""
    with Image.open(io.BytesIO(grid.png), formats=("PNG",)) as image:
        return webp_uri(image.convert("RGB"), SHEET_SIDE, lossless=max(image.size) <= SHEET_SIDE)


def _script_json(data: Mapping[str, Any] | None) -> str:
    """JSON that can stand inside a script element: no "<" in it can end the element."""
    return json.dumps(data, ensure_ascii=False).replace("<", "\\u003c") if data else ""


def _method(facts: Facts) -> Callable[[str], str]:
    titles = {**facts.titles, **facts.references}
    return lambda name: method_title(name, titles)


def _edit(pass_name: str) -> str:
    return split_pass(pass_name).title


def _signed(value: float, decimals: int) -> str:
    """A difference with its sign."""
    return f"{value:+.{decimals}f}".replace("-", "−")


def _decimals(claim: Finding) -> int:
    """Decimals that a claim's numbers are told to: two digits of half its interval, which says what is known."""
    if claim.low is None or claim.high is None or claim.high <= claim.low:
        return 3
    return max(0, 1 - floor(log10((claim.high - claim.low) / 2)))


def _manifest_text(manifest: Mapping[str, Any]) -> str:
    shown = dict(manifest)
    for name in _LONG_LISTS:
        if name in shown and len(shown[name]) > 8:
            shown[name] = f"{len(shown[name])} entries, in manifest.json"
    return json.dumps(shown, indent=1, ensure_ascii=False, default=str)
