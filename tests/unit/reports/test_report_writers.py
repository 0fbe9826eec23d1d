"""Writers: full precision in CSV, escaping everywhere, 80 columns on the terminal, LaTeX that compiles."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from reports_fake_run import FakeCell, facts, manifest, passes, summaries

from reports.facts import gather_facts
from reports.numbers import count_text, digits
from reports.published.rows import paper_table
from reports.table import Block, Entry, Table
from reports.tables import build_tables
from reports.writers import csv as csv_writer
from reports.writers import md as markdown
from reports.writers import terminal
from reports.writers import tex as latex

NASTY = r"A&B_100% #1 {x} ~^ $5 \cmd <b>|*\ "
MISSING = {
    "methods": {"hyperstyle": {"reason": NASTY, "command": "run_bench.py weights fetch a_b"}},
    "columns": {"kid@synthetic-2": {"status": "missing", "reason": "no network"}},
}


def _tables(**more: object) -> list[Table]:
    return build_tables(summaries(), passes(), gather_facts(manifest(missing=MISSING, **more)))


def test_wide_csv_keeps_every_digit() -> None:
    lines = list(csv.DictReader(io.StringIO(csv_writer.wide(_tables()[0]))))
    warpres = next(line for line in lines if line["method"] == "warpres")
    cell = summaries()["warpres", "smile+"]["fd@synthetic-2"]
    assert float(warpres["smile+:fd@synthetic-2"]) == cell.value
    assert float(warpres["smile+:fd@synthetic-2:low"]) == cell.low
    assert warpres["smile+:fd@synthetic-2:n"] == "120"
    absent = next(line for line in lines if line["method"] == "hyperstyle")
    assert absent["smile+:fd@synthetic-2"] == "" and "weights fetch a_b" in absent["notes"]


def test_long_csv_has_every_number_once() -> None:
    text = csv_writer.long(summaries(), passes(), gather_facts(manifest(missing=MISSING)), "synthetic-2")
    lines = list(csv.DictReader(io.StringIO(text)))
    assert sum(line["status"] == "ok" for line in lines) == sum(map(len, summaries().values()))
    assert [line["note"] for line in lines if line["metric"] == "kid"] == ["no network"]
    assert next(line for line in lines if line["pass"] == "pose-")["strength"] == "-3.0"


def test_long_csv_says_why_sets_that_are_too_small_have_no_number() -> None:
    cells = summaries()
    cells["e4e", "smile+"]["fd@synthetic-2"] = replace(FakeCell(None, None, None, 120, 0), needs_n=1200)
    text = csv_writer.long(cells, passes(), gather_facts(manifest()), "synthetic-2")
    (line,) = [line for line in csv.DictReader(io.StringIO(text)) if line["status"] == "empty"]
    assert line["value"] == "" and "with 120 images it cannot tell" in line["note"] and "from 1,200" in line["note"]


def test_a_methods_own_strength_is_written() -> None:
    methods = {"warpres": {"passes": {"pose-": {"strength": -2.25}}}}
    text = csv_writer.long(summaries(), passes(), gather_facts(manifest(methods=methods)), "synthetic-2")
    lines = [line for line in csv.DictReader(io.StringIO(text)) if line["pass"] == "pose-"]
    assert {line["strength"] for line in lines if line["method"] == "warpres"} == {"-2.25"}
    assert {line["strength"] for line in lines if line["method"] == "e4e"} == {"-3.0"}
    wide = {line["method"]: line for line in csv.DictReader(io.StringIO(csv_writer.wide(_tables(methods=methods)[0])))}
    assert (wide["warpres"]["pose-:strength"], wide["warpres"]["smile+:strength"]) == ("-2.25", "")


def test_no_text_ever_says_nan() -> None:
    cells = summaries()
    cells["e4e", "smile+"]["id@synthetic-2"] = FakeCell(float("nan"), float("nan"), float("inf"), 0, 0)
    cells["e4e", "smile-"]["id@synthetic-2"] = FakeCell(0.4, float("nan"), float("nan"), 5, 0)
    texts = [terminal.table(cells, passes(), manifest())]
    for table in build_tables(cells, passes(), facts()):
        texts += [csv_writer.wide(table), markdown.markdown(table), latex.latex(table)]
    texts.append(csv_writer.long(cells, passes(), facts(), "synthetic-2"))
    assert not [text for text in texts if re.search(r"\b(nan|inf|None)\b", text, re.IGNORECASE)]


@pytest.mark.parametrize("width", [80, 60])
def test_terminal_lines_fit(width: int) -> None:
    text = terminal.table(summaries(), passes(), manifest(missing={"columns": MISSING["columns"]}), width)
    assert max(map(len, text.splitlines())) <= width
    assert text.count("WarpRes ") >= 5
    table = replace(_tables()[0], title="A long title of a table that follows one of the paper's, protocol synthetic-2")
    assert max(map(len, terminal.text(table, width).splitlines())) <= width


def test_terminal_shows_value_interval_mark_and_failures() -> None:
    text = terminal.table(summaries(), passes(), manifest())
    block = text[text.index("Reconstruction, n = 240") :]
    assert re.search(r"^WarpRes +\*10\.\d\d ±1\.68 ", block, re.MULTILINE)
    assert re.search(r"^e4e .* !2$", block, re.MULTILINE)
    assert "k images failed" in text


def test_terminal_without_numbers_says_so() -> None:
    assert terminal.table({}, [], {}).strip() == "No numbers yet."


def test_markdown_cells_and_escapes() -> None:
    text = markdown.markdown(_tables()[0])
    assert re.search(r"\| WarpRes +\| \*\*10\.\d\d\*\* \[9\.\d\d, 12\.\d\d\]", text)
    assert r"A&B\_100% \#1 \{x\}" in text.replace("B_", r"B\_") and "<b>" not in text.replace(r"\<b\>", "")
    for line in (line for line in text.splitlines() if line.startswith("|")):
        cells = re.findall(r"(?<!\\)\|", line)
        assert len(cells) >= 3
    blocks = [[len(re.findall(r"(?<!\\)\|", line)) for line in part.splitlines()] for part in text.split("\n\n")]
    assert all(len(set(counts)) == 1 for counts in blocks if counts[0] > 2)


def test_markdown_escape() -> None:
    assert markdown.escape("a|b\nc*d run_bench.py _x_") == r"a\|b c\*d run_bench.py \_x\_"


def test_latex_has_a_float_a_block_and_nothing_is_scaled() -> None:
    table = _tables()[1]
    text = latex.latex(table)
    assert text.count(r"\begin{") == text.count(r"\end{") and "resizebox" not in text
    assert text.count(r"\begin{table*}") == len(table.blocks) == 2
    labels = re.findall(r"\\label\{([^}]*)\}", text)
    assert labels == ["tab:truth-synthetic-2-smile", "tab:truth-synthetic-2-pose"]
    # Ten columns stand in two pieces; each line has all cells of its piece.
    pieces = re.findall(r"\\begin\{tabular\}\{l(r+)\}(.*?)\\end\{tabular\}", text, re.DOTALL)
    assert [len(columns) for columns, _ in pieces] == [6, 4] * 2
    for columns, body in pieces:
        assert [body.count(rule) for rule in (r"\toprule", r"\bottomrule")] == [1, 1]
        for line in (line for line in body.splitlines() if line.endswith(r"\\")):
            spans = [int(n) for n in re.findall(r"\\multicolumn\{(\d+)\}", line)]
            assert len(re.findall(r"(?<!\\)&", line)) + sum(n - 1 for n in spans) == len(columns)


def test_latex_marks_failures_and_footnotes_stand_where_they_belong() -> None:
    scores = latex.latex(_tables()[0])
    assert r"\textbf{10." in scores and r"\underline{20." in scores and "!2" in scores
    truth = latex.latex(_tables()[1])
    assert truth.count("this method estimates no flow") == 2
    for piece in (*scores.split(r"\begin{table*}")[1:], *truth.split(r"\begin{table*}")[1:]):
        head, _, notes = piece.rpartition(r"\end{tabular}")
        explained = set(re.findall(r"\\raggedright\\textsuperscript\{(\d+)\}", notes))
        pointed = {n for group in re.findall(r"\\textsuperscript\{([\d, ]+)\}", head) for n in group.split(", ")}
        # A float stands alone: its footnotes count from 1.
        assert pointed == explained == {str(number) for number in range(1, len(explained) + 1)}


def test_latex_escape_leaves_nothing_special() -> None:
    escaped = latex.escape(NASTY + "± − – ↓ ↑ ×")
    plain = re.sub(r"\\(textbackslash|textasciitilde|textasciicircum|textless|textgreater|textbar)\{\}", "", escaped)
    plain = re.sub(r"\\[&%#_{}$]|\$(\\pm|-|\\downarrow|\\uparrow|\\times)\$", "", plain)
    assert not re.search(r"[&%#_{}$~^\\<>|±−–↓↑×]", plain)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("layout", ["own", "paper", "all"])
def test_latex_compiles_fits_and_can_be_read(tmp_path: Path, layout: str) -> None:
    """No type below 6 pt, and no table wider than the page."""
    known = facts(missing=MISSING, filled_weights=["e4e_faces & co"])
    if layout == "paper":
        tables = [paper_table(which, summaries("paper-1"), known, "paper-1") for which in (1, 2)]
    else:
        tables = build_tables(summaries(), passes(), known, every=layout == "all")
    shown = "\n".join(latex.latex(table) for table in tables)
    source = (
        r"\documentclass[twocolumn]{article}\pdfcompresslevel=0\pdfobjcompresslevel=0"
        r"\usepackage[letterpaper,margin=1in]{geometry}\usepackage{booktabs}\usepackage{textcomp}"
    )
    (tmp_path / "t.tex").write_text(f"{source}\\begin{{document}}{shown}\\end{{document}}")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    wide = [float(points) for points in re.findall(r"Overfull \\hbox \(([\d.]+)pt too wide\)", done.stdout)]
    assert max(wide, default=0.0) < 2, done.stdout
    sizes = [float(size) for size in re.findall(rb"/F\d+ ([\d.]+) Tf", (tmp_path / "t.pdf").read_bytes())]
    # TeX's points are a little smaller than the PDF's.
    assert sizes and min(sizes) >= 6 * 72 / 72.27 - 0.01


def test_filled_weights_are_said_in_every_form() -> None:
    filled = {"filled_weights": True}
    table = build_tables(summaries(), passes(), gather_facts(manifest(**filled)))[0]
    shown = [markdown.markdown(table), latex.latex(table), terminal.table(summaries(), passes(), manifest(**filled))]
    assert all("Filled weights" in " ".join(text.split()) for text in shown)
    assert "Filled weights" not in markdown.markdown(_tables()[0])


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (6.594, 2, "6.59"),
        (-0.0001, 2, "0.00"),
        (-1.5, 1, "−1.5"),
        (12345.678, 2, "12,346"),
        (0.1235, 3, "0.123"),
        (3e9, 2, "3.00e+09"),
    ],
)
def test_digits(value: float, decimals: int, text: str) -> None:
    assert digits(value, decimals) == text


def test_counts_are_said_only_where_the_heading_does_not() -> None:
    block = Block("Smile", (), (120, 133))
    assert count_text(Entry(0.5, n=120), block) == ""
    assert count_text(Entry(0.5, n=118, failed=2, rule="skip"), block) == "2 failed"
    assert count_text(Entry(0.5, n=120, failed=2, rule="zero"), block) == "2 failed as 0"
    assert count_text(Entry(0.5, n=90), block) == "n = 90"
