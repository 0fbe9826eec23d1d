"""The report page in a real browser: sorting, filtering, flipping, the keyboard, a narrow and a dark screen."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "reports"))
from reports_fake_run import METHODS, PROTOCOL, manifest, passes, results, summaries, write_run

from bench.results.frame import frame_of
from bench.results.paired import Pairs
from bench.results.row import Row
from metrics.protocol import load_protocol
from reports import write_reports

BROWSER = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), "")
pytestmark = pytest.mark.skipif(not BROWSER, reason="no Chromium on this machine")

# What a person does, with the answers put where the test finds them.
ACTS = """
const errors = []; addEventListener("error", (event) => errors.push(String(event.message)));
addEventListener("load", async () => {
  const wait = (ms) => new Promise((done) => setTimeout(done, ms));
  const shown = (selector) => [...document.querySelectorAll(selector)].filter((e) => e.offsetParent !== null);
  const order = (table) => [...table.querySelectorAll("tr.method")].map((row) => row.dataset.method);
  const answers = {};
  const table = document.querySelector("table.scores");
  const heading = table.querySelector('th[data-better="lower"]');
  heading.querySelector("button").click(); answers.best_first = order(table);
  answers.sorted_by = heading.getAttribute("aria-sort");
  heading.querySelector("button").click(); answers.worst_first = order(table);
  answers.reference_last = table.tBodies[0].lastElementChild.className;
  const box = document.querySelector("#filters input"); answers.rows = shown("tr.method").length;
  box.click(); answers.rows_filtered = shown("tr.method").length; box.click();
  const legend = [...document.querySelectorAll("#filters fieldset")].find((set) => set.textContent.startsWith("Edits"));
  answers.blocks = shown(".block-table").length; legend.querySelector("input").click();
  answers.blocks_filtered = shown(".block-table").length; legend.querySelector("input").click();
  await wait(300);
  const source = () => document.querySelector(".stage img").src.slice(-80);
  const press = (name) => document.body.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true }));
  const key = async (name) => { press(name); await wait(150); };
  document.getElementById("explore").scrollIntoView(); await wait(100);
  answers.edit = source(); await key("1"); answers.input = source(); await key("3"); answers.truth = source();
  await key(" "); await key("2"); answers.again = source();
  await key("d"); answers.heat = document.querySelectorAll(".stage canvas").length;
  answers.scale = shown(".scale").length; await key("d");
  await key("ArrowRight"); answers.next = source(); await key("ArrowLeft");
  const slider = document.querySelector('.controls input[type="range"]');
  slider.value = slider.max; slider.dispatchEvent(new Event("input")); await wait(150); answers.strongest = source();
  answers.told = slider.parentElement.querySelector("output").textContent;
  slider.value = 0; slider.dispatchEvent(new Event("input")); await wait(150); answers.weakest = source();
  answers.full = document.querySelector(".stage figcaption a").getAttribute("href");
  for (const details of document.querySelectorAll("details")) details.open = true;
  const wide = [...document.querySelectorAll(".table:not([id^='all@']) .block-table")];
  answers.hidden = wide.filter((e) => e.offsetParent && e.scrollWidth > e.clientWidth + 1).length;
  answers.first_seen = Math.max(...wide.map((e) =>
    e.querySelector("thead th:nth-child(2)").getBoundingClientRect().right - e.getBoundingClientRect().left));
  answers.sticky = [heading, table.querySelector("tbody th")].map((e) => getComputedStyle(e).position).join(" ");
  answers.borders = [...document.querySelectorAll("table")].map((e) => getComputedStyle(e).borderCollapse);
  answers.charts = shown("figure.chart svg[aria-label]").length;
  answers.differences = shown(".differences td.apart").length;
  answers.width = document.documentElement.clientWidth;
  answers.overflow = document.documentElement.scrollWidth - innerWidth;
  answers.paper = getComputedStyle(document.body).backgroundColor;
  answers.unnamed = [...document.querySelectorAll("img")].filter((image) => image.alt.length < 8).length;
  const loaded = performance.getEntriesByType("resource").map((entry) => entry.name);
  answers.loaded = loaded.filter((name) => !name.startsWith("data:"));
  answers.errors = errors;
  (parent ?? window).document.documentElement.dataset.answers = JSON.stringify(answers);
});
"""


def _rows() -> list[Row]:
    hard = np.random.default_rng(0).normal(0, 0.1, 40)
    return [
        Row(f"{i}.jpg", "a", method, "b", "pose+", "c", 3.0, PROTOCOL, "d", values={"id": 0.5 + 0.1 * at + hard[i]})
        for at, method in enumerate(METHODS)
        for i in range(40)
    ]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_run(tmp_path_factory.mktemp("run"))
    pairs = Pairs(frame_of(_rows()), {PROTOCOL: load_protocol(PROTOCOL)})
    write_reports(results(folder, manifest()), summaries(), passes(), pairs)
    return folder / "index.html"


def _dump(page: Path, *flags: str) -> tuple[str, str]:
    """The page's document after its scripts ran, and what the browser complained of."""
    words = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=12000", "--dump-dom"]
    words += ["--enable-logging=stderr", "--allow-file-access-from-files"]
    done = subprocess.run([*words, *flags, page.as_uri()], capture_output=True, text=True, timeout=120)
    return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)


def _act(page: Path, width: int, *flags: str) -> dict[str, Any]:
    """The answers of ACTS, run in a copy of the page whose policy lets them, in a frame `width` pixels wide."""
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text(encoding="utf-8"))
    copy = page.with_name("acted.html")
    copy.write_text(text.replace("</head>", f"<script>{ACTS}</script></head>"), encoding="utf-8")
    frame = page.with_name("frame.html")
    frame.write_text(f'<iframe src="acted.html" style="border:0;width:{width}px;height:844px"></iframe>')
    dom, complaints = _dump(frame, "--window-size=1400,900", *flags)
    assert not complaints
    found = re.search(r'data-answers="([^"]*)"', dom)
    assert found, "the page's own script did not come to its end"
    answers: dict[str, Any] = json.loads(found.group(1).replace("&quot;", '"').replace("&amp;", "&"))
    return answers


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_a_person_can_sort_filter_and_flip(page: Path, width: int, dark: bool) -> None:
    answers = _act(page, width, *(["--blink-settings=preferredColorScheme=0"] if dark else []))
    assert answers["errors"] == [] and answers["loaded"] == []
    assert answers["worst_first"] == answers["best_first"][::-1] and len(answers["best_first"]) > 2
    assert answers["sorted_by"] == "ascending" and "method" not in answers["reference_last"].split()
    assert 0 < answers["rows_filtered"] < answers["rows"]
    assert 0 < answers["blocks_filtered"] < answers["blocks"]
    assert len({answers["input"], answers["edit"], answers["truth"]}) == 3
    assert answers["again"] == answers["edit"] != answers["next"]
    assert answers["heat"] > 1 and answers["scale"] == 1
    assert answers["strongest"] != answers["weakest"] and answers["told"].startswith("+")
    assert answers["full"].startswith("pictures/")
    assert answers["charts"] == 1 and answers["differences"] == 2
    assert answers["sticky"] == "sticky sticky" and answers["unnamed"] == 0
    # A collapsed border does not go along with a cell that sticks.
    assert {*answers["borders"]} == {"separate"}
    # Nothing is off the screen: of tables wider than a phone, the first column is there and the rest scrolls.
    assert answers["width"] <= width and answers["overflow"] <= 0 and answers["first_seen"] <= width
    assert answers["hidden"] == 0 or width == 390
    assert (answers["paper"] == "rgb(20, 23, 27)") == dark


def test_its_own_policy_lets_the_page_work_and_nothing_else(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "default-src 'none'" in text and "unsafe-inline'; script" in text
    dom, complaints = _dump(page)
    assert 'class="stage"' not in text and 'class="stage"' in dom and not complaints
