"""The whole report of a run: which files, the same bytes, one page that needs nothing from outside."""

from __future__ import annotations

import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from reports_fake_run import METHODS, FakeCell, facts, manifest, passes, results, summaries, write_run

import reports.figures.plots
from bench.core.errors import MissingError
from bench.core.sealed import write_sealed
from reports import write_reports
from reports.failures import collect
from reports.figures.showcase import showcase
from reports.inputs import Facts
from reports.page.render import Content, render
from reports.published.rows import paper_table
from reports.tables import build_tables
from reports.timing_table import read_timings
from reports.writers.md import markdown
from reports.writers.terminal import text

SCRIPT = "<script>alert('x')</script>"


class _Page(HTMLParser):
    """Every tag and attribute of a page, and whether tags close in order."""

    void = frozenset({"meta", "img", "br", "link", "input", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_run(tmp_path_factory.mktemp("a run with spaces é"))
    cells, edits, about = _short()
    write_reports(results(folder, about), cells, edits)
    return folder


def _short() -> tuple[Any, Any, Any]:
    """Bootstrap, passes and manifest of two passes: everything a report has, in half the time."""
    wanted = ("reconstruction", "pose+")
    cells = {key: value for key, value in summaries().items() if key[1] in wanted}
    return cells, [item for item in passes() if item.pass_name in wanted], manifest()


def test_every_kind_of_file_is_there(run: Path) -> None:
    for name in ("scores@synthetic-2", "truth@synthetic-2", "all@synthetic-2"):
        assert all((run / "tables" / f"{name}.{suffix}").stat().st_size for suffix in ("csv", "md", "tex"))
    assert (run / "tables" / "long@synthetic-2.csv").is_file()
    plots = {path.suffix for path in (run / "plots").iterdir()}
    assert plots == {".png", ".pdf"} and list((run / "grids").glob("*.png"))
    assert not [path for path in run.rglob("*") if path.name.endswith(".part")]


def test_the_page_is_well_formed_and_loads_nothing(run: Path) -> None:
    text = (run / "index.html").read_text(encoding="utf-8")
    page = _Page(text)
    assert all((image["src"] or "").startswith("data:image/") and image["alt"] for image in page.all("img"))
    assert all("src" not in script for script in page.all("script"))
    assert not page.all("link") and "@import" not in text and "url(" not in text and "http:" not in text
    for link in page.all("a"):
        href = link["href"] or ""
        assert href.startswith("#") or (run / href.replace("%40", "@").replace("%2B", "+")).is_file(), href
    anchors = {attributes.get("id") for _, attributes in page.tags}
    assert all((link["href"] or "")[1:] in anchors for link in page.all("a") if (link["href"] or "").startswith("#"))


def test_every_row_has_all_its_cells(run: Path) -> None:
    text = (run / "index.html").read_text(encoding="utf-8")
    for piece in re.split(r"<table[^>]*>", text)[1:]:
        widths = set()
        for row in piece[: piece.index("</table>")].split("<tr")[1:]:
            cells = [attributes for tag, attributes in _Row(row).tags if tag in ("td", "th")]
            widths.add(sum(int(attributes.get("colspan") or 1) for attributes in cells))
        assert len(widths) == 1


class _Row(_Page):
    def handle_endtag(self, tag: str) -> None:
        return

    def close(self) -> None:
        super().close()
        self.open = []


def test_text_from_outside_is_escaped() -> None:
    nasty = manifest(
        title=SCRIPT,
        command=SCRIPT,
        methods={"e4e": {"title": SCRIPT}, "styleres": {}, "warpres": {}},
        missing={"methods": {SCRIPT: {"reason": SCRIPT, "command": SCRIPT}}},
        filled_weights=[SCRIPT],
    )
    facts = Facts.from_manifest(nasty)
    failures = collect([_failed("1.jpg", SCRIPT)])
    tables = build_tables(summaries(), passes(), facts)
    shots = {"images": [SCRIPT], "methods": [], "passes": [], "pictures": {}}
    text = render(Content(tables, [], [], shots, [], failures, None, facts, nasty, ["tables/a b.csv"]))
    page = _Page(text)
    assert len(page.all("script")) == 2 and SCRIPT not in text and "&lt;script" in text


class _failed:  # noqa: N801  (stands for a row)
    method, pass_name, protocol, status, failures = "e4e", "smile+", "p", "failed", {"id": "no face"}

    def __init__(self, image: str, reason: str) -> None:
        self.image, self.reason = image, reason


def test_failures_are_grouped_with_their_images() -> None:
    found = collect([_failed("2.jpg", "truncated"), _failed("1.jpg", "truncated"), _failed("1.jpg", "truncated")])
    assert [(f.what, f.reason, f.images) for f in found] == [
        ("", "truncated", ("1.jpg", "2.jpg")),
        ("id@p", "no face", ("1.jpg", "2.jpg")),
    ]


def test_filled_weights_raise_a_banner_and_silence_the_verdict(tmp_path: Path) -> None:
    filled = facts(filled_weights=True)
    tables = build_tables(summaries(), passes(), filled)
    text = render(Content(tables, [], [], None, [], [], None, filled, manifest(), []))
    assert 'role="alert"' in text and "In short" not in text
    plain = render(Content(build_tables(summaries(), passes(), facts()), [], [], None, [], [], None, facts(), {}, []))
    assert 'role="alert"' not in plain and "In short" in plain


def test_verdicts_name_only_what_the_intervals_carry() -> None:
    cells = summaries()
    cells["styleres", "smile+"]["id@synthetic-2"] = cells["warpres", "smile+"]["id@synthetic-2"]
    sentences = build_tables(cells, passes(), facts())[0].verdicts
    assert sentences[1] == ("Smile: WarpRes is best in FD+, FD− and ID−; StyleRes and WarpRes share the lead in ID+.")
    for cell in cells.values():
        cell.pop("fd@synthetic-2", None)
        if "id@synthetic-2" in cell:
            cell["id@synthetic-2"] = cells["warpres", "smile+"]["id@synthetic-2"]
    sentences = build_tables(cells, passes(), facts())[0].verdicts
    assert sentences[1] == "Smile and Pose: no method stands apart in ID+ and ID−."
    alone = {key: value for key, value in cells.items() if key[0] == "warpres"}
    assert build_tables(alone, passes(), facts())[0].verdicts == ()


def test_unequal_changes_are_said_wherever_the_numbers_are_read() -> None:
    cells = summaries()
    for method, column in cells:
        if method in METHODS and column != "reconstruction":
            cells[method, column]["share@synthetic-2"] = FakeCell(3.0, 2.5, 3.5, 120)
    equal = build_tables(cells, passes(), facts())[1]
    assert not any("different shares" in said for said in (text(equal), markdown(equal), *equal.remarks))
    cells["warpres", "pose+"]["share@synthetic-2"] = FakeCell(15.0, 14.5, 15.5, 120)
    table = build_tables(cells, passes(), facts())[1]
    remark = "Pose: the methods did different shares of what was asked"
    assert remark in text(table) and remark in markdown(table) and [remark in said for said in table.remarks] == [True]


def test_tables_do_not_know_the_clock_the_run_or_the_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports.figures.plots, "draw_all", lambda *_: [])
    written = []
    for name, clock in (("one", 0.1), ("two", 0.9)):
        folder = tmp_path / name
        folder.mkdir()
        write_sealed(folder / "timing.json", {"methods": {"warpres": {"median": clock}}})
        shuffled = dict(sorted(summaries("paper-1").items(), reverse=name == "two"))
        write_reports(results(folder, manifest(run=name, paper_table=2)), shuffled, passes())
        tables = sorted(path for path in (folder / "tables").iterdir() if path.is_file())
        written.append([(path.name, path.read_bytes()) for path in tables])
        assert (folder / "tables" / "timed" / "table2@paper-1.md").is_file()
    assert written[0] == written[1] and "table2@paper-1.difference.csv" in dict(written[0])


def test_files_of_an_earlier_report_go_and_others_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports.figures.plots, "draw_all", lambda *_: [])
    write_reports(results(tmp_path, manifest()), summaries("p-1"), passes())
    (tmp_path / "tables" / "mine.csv").write_text("kept")
    write_reports(results(tmp_path, manifest()), summaries("p-2"), passes())
    names = {path.name for path in (tmp_path / "tables").iterdir()}
    assert "mine.csv" in names and "scores@p-2.md" in names and "scores@p-1.md" not in names


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(MissingError, match="cannot write"):
        write_reports(results(tmp_path, {}), {}, [])


def test_a_file_in_the_way_is_an_error_with_a_next_step(tmp_path: Path) -> None:
    (tmp_path / "tables").write_text("a file")
    with pytest.raises(MissingError) as caught:
        write_reports(results(tmp_path, {}), {("e4e", "smile+"): {"fd@p": FakeCell(1.0, None, None, 3)}}, [])
    assert caught.value.next_step


def test_an_empty_run_still_has_a_page(tmp_path: Path) -> None:
    assert [path.name for path in write_reports(results(tmp_path, {}), {}, [])] == ["index.html"]


def test_timings_are_read_in_the_forms_they_have(tmp_path: Path) -> None:
    assert read_timings(tmp_path) is None
    (tmp_path / "timing.json").write_text("{")
    assert read_timings(tmp_path) is None
    stages = {"encode": {"median": 0.02}, "synthesise": 0.03}
    methods = {"a": {"stages": stages}, "b": {"median": 0.4}, "c": {}}
    (tmp_path / "timing.json").write_text(json.dumps({"device": {"gpu": "X"}, "methods": methods}))
    assert read_timings(tmp_path) is None  # no checksum: nobody knows whether it is what was written
    write_sealed(tmp_path / "timing.json", {"device": {"gpu": "X"}, "methods": methods})
    timings = read_timings(tmp_path)
    assert timings is not None and timings.device == "gpu X" and timings.stages == ("encode", "synthesise")
    assert timings.seconds == {"a": pytest.approx(0.05), "b": 0.4}


def test_paper_table_on_the_page_shows_groups_and_published_rows() -> None:
    table = paper_table(1, summaries("paper-1"), facts(), "paper-1")
    text = render(Content([table], [], [], None, [], [], None, facts(), manifest(), []))
    blocks = len(table.blocks)
    assert text.count('<tr class="group">') == 4 * blocks and text.count('<tr class="published"') == 13 * blocks


def test_showcase_joins_sheets(run: Path) -> None:
    import io

    from PIL import Image

    one, two = (Image.open(io.BytesIO(showcase(run, count=count))) for count in (1, 2))
    assert two.width > 1.9 * one.width and two.height == one.height
    with pytest.raises(MissingError, match="kept no image nobody"):
        showcase(run, ["nobody.jpg"])
