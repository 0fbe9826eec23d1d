"""Results that travel: the results file, runs of different days as one, a leaderboard of files."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.results.manifest import read_manifest
from bench.results.wholeness import load_run
from tests.e2e.conftest import Desk

Content = dict[str, Any]
BROWSER = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), "")


@pytest.fixture
def runs(desk: Desk) -> Path:
    """Two runs of different days: "monday" of blocks, "tuesday" of the duller ones, and "both" of the two at once."""
    dull = ("--checkpoint", f"dull-blocks={desk.folder / 'dull.pt'}")
    assert desk.here(*desk.basics, "--name", "monday") == 0
    tuesday = [word for word in desk.basics if not word.startswith("blocks=")]
    tuesday[tuesday.index("--checkpoint") : tuesday.index("--checkpoint") + 1] = dull
    assert desk.here(*tuesday, "--methods", "dull-blocks", "--name", "tuesday") == 0
    assert desk.here(*desk.basics, *dull, "--methods", "blocks,dull-blocks", "--name", "both") == 0
    return desk.folder / "runs"


def _numbers(run: Path) -> list[dict[str, str]]:
    with (run / "tables/long@plain-1.csv").open(encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def _read(path: Path) -> Content:
    found: Content = json.loads(path.read_text(encoding="utf-8"))
    return found


def test_runs_of_different_days_become_one(desk: Desk, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert desk.here("report", str(runs / "monday"), str(runs / "tuesday")) == 0
    merged = Path(capsys.readouterr().out.strip().splitlines()[-1])
    assert merged == runs / "monday+tuesday"
    # As if one run had made both.
    assert _numbers(merged) == _numbers(runs / "both")
    scores = [_read(run / "results.json")["scores"] for run in (merged, runs / "both")]
    assert scores[0] == scores[1]
    sources = _read(merged / "results.json")["sources"]
    assert [(own["run"], own["methods"]) for own in sources] == [("monday", ["blocks"]), ("tuesday", ["dull-blocks"])]
    assert all(own["command"][1] == "run_bench.py" and own["versions"]["torch"] for own in sources)
    # It is a run like any other: images, rows, the gate, and a merge again.
    assert load_run(merged).attrs["whole"] and (merged / "pictures/dull-blocks/reconstruction/0.png").is_file()
    assert desk.here("gate", str(runs / "both"), str(merged)) == 0
    again = runs / "again"
    assert desk.here("report", str(merged), str(runs / "both"), "-o", str(again)) == 0
    assert _numbers(again) == _numbers(merged)
    assert len(_read(again / "results.json")["sources"]) == 3


def test_a_merge_of_an_unfinished_run_says_so(desk: Desk, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = runs / "tuesday/rows/0.jsonl"
    rows.write_bytes(b"".join(rows.read_bytes().splitlines(keepends=True)[:-3]))
    capsys.readouterr()
    assert desk.here("report", str(runs / "monday"), str(runs / "tuesday"), "-o", str(runs / "cut")) == 4
    said = capsys.readouterr()
    assert "Unfinished" in said.out and "--name tuesday" in said.err and "merge again" in said.err
    assert "Unfinished" in _read(runs / "cut/results.json")["unfinished"]
    assert desk.here("leaderboard", "check", str(runs / "cut/results.json")) == 2
    assert "not finished" in capsys.readouterr().out


def test_what_does_not_go_together_is_refused_by_name(
    desk: Desk, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert desk.here(*desk.basics, "--name", "few", "--limit", "4") == 0
    assert desk.here(*desk.basics, "--name", "seeded", "--seed", "5") == 0
    shutil.copy(desk.folder / "dull.pt", desk.folder / "bright.pt")
    assert desk.here(*desk.basics, "--name", "other-weights") == 0
    for other, says in (("few", "different images"), ("seeded", "the seed"), ("other-weights", "bright.pt")):
        capsys.readouterr()
        assert desk.here("report", str(runs / "monday"), str(runs / other), "-o", str(runs / "no")) == 2
        said = capsys.readouterr().err
        assert says in said and other in said and not (runs / "no").exists()
    two = [str(runs / "monday"), str(runs / "other-weights")]
    assert desk.here("report", *two, "-o", str(runs / "monday")) == 2
    assert desk.here("report", *two, "-o", str(runs / "both"), "--keep-both") == 2
    assert desk.here("report", *two, "-o", str(runs / "two"), "--keep-both") == 0
    assert set(_read(runs / "two/results.json")["methods"]) == {"blocks@monday", "blocks@other-weights"}
    assert "blocks (monday)" in (runs / "two/tables/scores@plain-1.md").read_text()


def test_runs_of_other_machines_are_merged_only_when_told(
    desk: Desk, runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = {"device": "cpu", "instructions": "ABACUS", "threads": "1", "torch": "1"}
    monkeypatch.setattr("bench.plan.build.machine_of", lambda *_, **__: kind)
    assert desk.here(*desk.basics, "--edits", "none", "--name", "abacus") == 0
    two = ["report", str(runs / "tuesday"), str(runs / "abacus"), "-o", str(runs / "two")]
    assert desk.here(*two) == 2
    said = capsys.readouterr().err
    assert "instructions ABACUS" in said and "--across machine" in said
    assert desk.here(*two, "--across", "machine") == 0
    machines = [own["machine"]["instructions"] for own in _read(runs / "two/results.json")["sources"]]
    assert machines[1] == "ABACUS" != machines[0]
    assert desk.here(*two, "--across", "machines") == 2
    # No run of either kind would take these rows for its own.
    digests = [read_manifest(runs / name)["protocols"]["plain-1"]["digest"] for name in ("tuesday", "abacus", "two")]
    assert len(set(digests)) == 3


def test_a_leaderboard_of_results_files(desk: Desk, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    board, own = desk.folder / "board", ("--protocol", str(desk.folder / "plain-1.toml"))
    capsys.readouterr()
    assert desk.here("leaderboard", "add", str(runs / "both"), str(board), *own) == 0
    files = capsys.readouterr().out.split("\n")[:-1]
    assert [Path(file).name for file in files] == ["blocks.json", "dull-blocks.json"]
    assert desk.here("leaderboard", "check", *files, *own) == 0
    assert capsys.readouterr().out == "".join(f"{file}: ok\n" for file in files)
    content = _read(board / "blocks.json")
    content["methods"]["blocks"]["about"] = {"paper": "On <blocks>", "link": "https://example.org/blocks"}
    (board / "blocks.json").write_text(json.dumps(content))
    assert desk.here("leaderboard", str(board), *own) == 0
    page = (board / "index.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in page and "On &lt;blocks&gt;" in page and 'href="blocks.json"' in page
    assert not re.search(r"(?:src|@import|url\()\s*=?\s*[\"']?http", page)
    assert "run_bench.py run --preset paper-faces" in page
    # What a submission said of itself outlives new numbers.
    assert desk.here("leaderboard", "add", str(runs / "both"), str(board), "--methods", "Blocks", *own) == 0
    assert _read(board / "blocks.json")["methods"]["blocks"]["about"]["paper"] == "On <blocks>"
    if BROWSER:
        assert _sorted_order(board / "index.html") == ["dull-blocks", "blocks"]
    # The same method twice is one too many; a protocol that is not known is named.
    shutil.copy(board / "blocks.json", board / "copy.json")
    assert desk.here("leaderboard", str(board), *own) == 2
    assert "copy.json" in capsys.readouterr().err
    assert desk.here("leaderboard", "check", str(board / "blocks.json")) == 2
    assert "protocol plain-1 is not known" in capsys.readouterr().out


def _sorted_order(page: Path) -> list[str]:
    """Methods of the first table after two presses on its PSNR heading: the best first, then the worst.

    In a copy of the page whose policy lets a script of ours act.
    """
    act = """addEventListener("load", () => {
      const heading = [...document.querySelectorAll("th[data-better]")].find((th) => th.textContent.includes("PSNR"));
      for (const _ of [1, 2]) heading.querySelector("button").click();
      const rows = [...heading.closest("table").querySelectorAll("tr.method")].map((row) => row.dataset.method);
      document.documentElement.dataset.order = rows.join(" ");
    });"""
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text(encoding="utf-8"))
    copy = page.with_name("acted.html")
    copy.write_text(text.replace("</head>", f"<script>{act}</script></head>"), encoding="utf-8")
    words = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=4000", "--dump-dom"]
    done = subprocess.run([*words, copy.as_uri()], capture_output=True, text=True, timeout=120)
    found = re.search(r'data-order="([^"]*)"', done.stdout)
    copy.unlink()
    assert found
    return found.group(1).split()


def test_the_worlds_own_leaderboard_can_be_made(tmp_path: Path) -> None:
    """The repository's files pass the check of this version, and their page has the paper's order."""
    from reports.leaderboard.board import read_folder
    from reports.leaderboard.page import render

    folder = Path(__file__).parents[2] / "leaderboard"
    (board,) = read_folder(folder)
    assert len(board.entries) == len(list(folder.glob("world/*.json"))) and board.data["images"] == 200
    page = render([board], "Leaderboard", folder, tmp_path / "index.html")
    rows = re.findall(r'<tr class="method" data-method="([^"]+)"', page)
    assert rows[: len(board.entries)] == [entry.row for entry in board.entries]
    assert [row for row in rows[: len(board.entries)] if row in ("psp", "e4e", "warpres")] == ["psp", "e4e", "warpres"]
    assert {score["metric"] for score in board.files[0][1]["scores"]} >= {"fd", "lpips", "asked_psnr", "share"}


def _without_a_score(content: Content) -> None:
    content["scores"] = [s for s in content["scores"] if (s["pass"], s["metric"]) != ("smile+", "psnr")]


def _of_fewer(content: Content) -> None:
    next(s for s in content["scores"] if s["method"] == "blocks")["n"] -= 1


def _set(path: str, value: Any) -> Callable[[Content], None]:
    *keys, last = path.split(".")

    def change(content: Content) -> None:
        place: Any = content
        for key in keys:
            place = place[int(key) if key.isdigit() else key]
        place[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_without_a_score, "blocks, smile+, psnr@plain-1 is missing"),
        (_of_fewer, "is of 9 images, but the pass has 10"),
        (_set("protocols.plain-1.rules", "0" * 64), "protocol plain-1 was another file"),
        (_set("format", "results-9"), "format: 'results-1' was expected"),
        (_set("scores.0.value", "high"), "scores[0].value"),
        (_set("scores.0.value", float("nan")), "NaN is no number"),
        (_set("scores.0.value", 1e999), "Infinity is no number"),
        (_set("scores.0.low", 99.0), "no sound interval"),
        (_set("scores.0.method", "nobody"), "'nobody', which the file does not describe"),
        (_set("methods.blocks.digest", "short"), "methods.blocks.digest"),
        (_set("methods.blocks.about", {"link": "javascript:alert(1)"}), "methods.blocks.about.link"),
        (_set("filled_weights", ["all networks"]), "test pattern"),
        (_set("surprise", 1), "'surprise' was unexpected"),
    ],
)
def test_a_submission_is_checked(
    change: Callable[[Content], None], says: str, results: tuple[Path, Path], capsys: pytest.CaptureFixture[str],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from bench.cli import main

    monkeypatch.setattr("signal.signal", lambda *_: None)
    content = _read(results[0])
    change(content)
    file = tmp_path / "submission.json"
    file.write_text(json.dumps(content))
    assert main(["leaderboard", "check", str(file), "--protocol", str(results[1])]) == 2
    said = capsys.readouterr()
    assert says in said.out and "Traceback" not in said.err and str(file) in said.out


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A good results file, and its protocol's file."""
    from tests.e2e.conftest import lay_desk

    desk = lay_desk(tmp_path_factory.mktemp("results"))
    assert desk.bench(*desk.basics, "--name", "good").returncode == 0
    return desk.folder / "runs/good/results.json", desk.folder / "plain-1.toml"


def test_the_schema_is_sound_and_describes_what_is_written(results: tuple[Path, Path]) -> None:
    from jsonschema import Draft202012Validator

    from reports.results_file.record import FORMAT, SCHEMA

    schema = _read(SCHEMA)
    Draft202012Validator.check_schema(schema)
    assert schema["$id"].endswith(FORMAT) and schema["properties"]["format"]["const"] == FORMAT
    content = _read(results[0])
    assert list(Draft202012Validator(schema).iter_errors(content)) == []
    assert content["data"]["images"] == 10 and content["methods"]["blocks"]["strengths"]["smile-"] == -3
    # Nothing in it is of this machine's disk or clock.
    assert str(results[0].parents[1]) not in json.dumps(content["scores"] + [content["data"]])
