"""A run that lacks results says so: in the terminal, in every file, to the gate and to `compare`."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import pandas as pd
import pytest

from bench.api import load_run
from bench.results.row import parse
from tests.e2e.conftest import PROTOCOL, Desk

WORDS = ["--methods", "blocks,dull", "--edits", "smile"]


@pytest.fixture
def runs(desk: Desk) -> Path:
    """A whole run of two methods, and a copy that lost what a kill would have kept from it."""
    with (desk.folder / "config.toml").open("a") as config:
        config.write(
            f"[variants.dull]\nmethod = 'blocks'\ntitle = 'Dull'\ncheckpoint = ['{desk.folder / 'dull.pt'}']\n"
        )
    rules = PROTOCOL.replace("[numbers]\n", "[numbers]\nsmallest_marked = 10\n")
    (desk.folder / "plain-1.toml").write_text(rules)
    assert desk.here(*desk.basics, *WORDS, "--name", "whole") == 0
    folder = desk.folder / "runs"
    shutil.copytree(folder / "whole", folder / "cut")
    return folder


def _keep(run: Path, wanted: set[tuple[str, str]], images: int) -> None:
    """Leave the other rows, and of the named (method, pass) only those of the first images."""
    lines = (run / "rows/0.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    rows = [(parse(line.rstrip("\n").encode(), "0", {}), line) for line in lines]
    kept = [
        line
        for row, line in rows
        if row and ((row.method, row.pass_name) not in wanted or int(row.image.split(".")[0]) < images)
    ]
    assert len(kept) < len(lines)
    (run / "rows/0.jsonl").write_text("".join(kept), encoding="utf-8")


def test_every_reader_says_that_a_run_is_unfinished(runs: Path, desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    cut = runs / "cut"
    _keep(cut, {("dull", "reconstruction")}, 4)
    _keep(cut, {("blocks", "smile-"), ("blocks", "smile+"), ("blocks", "reconstruction")}, 0)
    capsys.readouterr()
    assert desk.here("report", str(cut)) == 4
    said = capsys.readouterr()
    assert said.out.startswith("!! Unfinished: 44 of 80 results are there")
    assert "4 of 10" in said.out and "0 of 10" in said.out and "not computed" in said.out
    assert max(map(len, said.out.splitlines()[:-1])) <= 80
    assert "unfinished: dull, reconstruction, plain-1: 4 of 10" in said.err and "next: carry on" in said.err
    for suffix in ("csv", "md", "tex"):
        text = (cut / f"tables/scores@plain-1.{suffix}").read_text()
        assert "Unfinished: 44 of 80" in text and "4 of 10" in text, suffix
    assert "unfinished,4 of 10 planned" in (cut / "tables/long@plain-1.csv").read_text()
    page = (cut / "index.html").read_text()
    assert "Unfinished: 44 of 80" in page and "4 of 10" in page
    # An unfinished column ranks nobody: its best may lack the hardest images.
    assert "**0." not in (cut / "tables/scores@plain-1.md").read_text()
    assert "**0." in (runs / "whole/tables/scores@plain-1.md").read_text()
    assert desk.here("report", str(cut), "--json") == 4
    answer = json.loads(capsys.readouterr().out)
    assert answer["unfinished"].startswith("Unfinished: 44 of 80")
    cells = {(c["method"], c["pass"], c["column"]): c for c in answer["cells"]}
    assert cells["dull", "reconstruction", "psnr@plain-1"]["planned"] == 10
    assert cells["blocks", "smile+", "psnr@plain-1"]["value"] is None
    assert desk.here("compare", str(cut), "blocks", "dull") == 3  # no image that both have
    assert desk.here("compare", str(cut), "dull", "dull") == 4
    assert capsys.readouterr().out.startswith("!! Unfinished")
    for words in ((runs / "whole", cut), (cut, runs / "whole")):
        assert desk.here("gate", *map(str, words)) == 4
        assert "cut: Unfinished" in capsys.readouterr().err
    with pytest.warns(UserWarning, match=r"cut: Unfinished: \d+ of \d+ results are there"):
        frame = load_run(cut)
    assert not frame.attrs["whole"] and frame.attrs["banner"].startswith("Unfinished")
    lacking = pd.DataFrame(frame.attrs["lacking"]).set_index(["method", "pass"])
    assert tuple(lacking.loc[("dull", "reconstruction"), ["there", "planned"]]) == (4, 10)
    assert tuple(lacking.loc[("blocks", "reconstruction"), ["there", "planned"]]) == (0, 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_run(runs / "whole").attrs["lacking"] == []


def test_the_gate_refuses_an_unfinished_run_and_names_what_lacks(
    runs: Path, desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    _keep(runs / "cut", {("dull", "smile+")}, 3)
    for words in ([runs / "whole", runs / "cut"], [runs / "cut", runs / "whole"]):
        assert desk.here("gate", *map(str, words)) == 4
        said = capsys.readouterr()
        assert (
            "cut: Unfinished" in said.err and "dull, smile+, plain-1: 3 of 10" in said.err and "worse" not in said.out
        )
    assert desk.here(*desk.basics, *WORDS, "--name", "few", "--limit", "7") == 0
    capsys.readouterr()
    assert desk.here("gate", str(runs / "whole"), str(runs / "few")) == 2
    assert "only the first run has 7.png, 8.png, 9.png" in capsys.readouterr().err


def test_compare_says_what_its_methods_lack(runs: Path, desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    _keep(runs / "cut", {("real", "original")}, 0)
    assert desk.here("compare", str(runs / "cut"), "blocks", "dull") == 0  # what it shows needs no real rows
    _keep(runs / "cut", {("dull", "reconstruction")}, 3)
    capsys.readouterr()
    assert desk.here("compare", str(runs / "cut"), "blocks", "dull") == 4
    said = capsys.readouterr()
    assert said.out.startswith("!! Unfinished") and "Reconstruction, plain-1, n = 3" in said.out
    assert "dull, reconstruction, plain-1: 3 of 10" in said.err


def test_the_same_command_makes_it_whole(runs: Path, desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    _keep(runs / "cut", {("dull", "smile+")}, 3)
    assert desk.here("report", str(runs / "cut")) == 4
    assert desk.here(*desk.basics, *WORDS, "--name", "cut") == 0
    for file in (runs / "whole/tables").iterdir():
        assert file.read_bytes() == (runs / "cut/tables" / file.name).read_bytes()
