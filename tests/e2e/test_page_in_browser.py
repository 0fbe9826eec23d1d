"""The report page in a real browser: sorting, filtering, flipping, the keyboard, a narrow and a dark screen."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "reports"))
from reports_fake_run import manifest, passes, summaries, write_run

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
  await wait(300);
  const source = () => document.querySelector(".stage img").src.slice(-80);
  const press = (name) => document.body.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true }));
  const key = async (name) => { press(name); await wait(150); };
  document.getElementById("explore").scrollIntoView(); await wait(100);
  answers.edit = source(); await key("1"); answers.input = source(); await key("3"); answers.truth = source();
  await key(" "); await key("2"); answers.again = source();
  await key("d"); answers.heat = document.querySelectorAll(".stage canvas").length; await key("d");
  await key("ArrowRight"); answers.next = source();
  answers.overflow = document.documentElement.scrollWidth - innerWidth;
  answers.errors = errors;
  document.documentElement.dataset.answers = JSON.stringify(answers);
});
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_run(tmp_path_factory.mktemp("run"))
    write_reports(folder, summaries(), passes(), manifest())
    return folder / "index.html"


def _dump(page: Path, *flags: str) -> str:
    """The page's document after its scripts ran."""
    words = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=8000", "--dump-dom"]
    done = subprocess.run([*words, *flags, page.as_uri()], capture_output=True, text=True, timeout=120)
    return done.stdout


def _act(page: Path, *flags: str) -> dict[str, Any]:
    """The answers of ACTS, run in a copy of the page whose policy lets them."""
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text(encoding="utf-8"))
    copy = page.with_name("acted.html")
    copy.write_text(text.replace("</head>", f"<script>{ACTS}</script></head>"), encoding="utf-8")
    found = re.search(r'data-answers="([^"]*)"', _dump(copy, *flags))
    assert found, "the page's own script did not come to its end"
    answers: dict[str, Any] = json.loads(found.group(1).replace("&quot;", '"').replace("&amp;", "&"))
    return answers


@pytest.mark.parametrize("flags", [("--window-size=1280,900",), ("--window-size=500,844", "--force-dark-mode")])
def test_a_person_can_sort_filter_and_flip(page: Path, flags: tuple[str, ...]) -> None:
    answers = _act(page, *flags)
    assert answers["errors"] == []
    assert answers["worst_first"] == answers["best_first"][::-1] and len(answers["best_first"]) > 2
    assert answers["sorted_by"] == "ascending" and "method" not in answers["reference_last"].split()
    assert 0 < answers["rows_filtered"] < answers["rows"]
    assert len({answers["input"], answers["edit"], answers["truth"]}) == 3
    assert answers["again"] == answers["edit"] != answers["next"]
    assert answers["heat"] > 1
    assert answers["overflow"] <= 0


def test_its_own_policy_lets_the_page_work_and_nothing_else(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "default-src 'none'" in text and "unsafe-inline'; script" in text
    assert 'class="stage"' not in text and 'class="stage"' in _dump(page)
