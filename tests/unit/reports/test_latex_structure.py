"""What a LaTeX compiler would refuse, where there is none: braces, environments, cells a row, bare characters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from reports_fake_run import FakeCell, facts, manifest, passes, summaries

from reports.differences import difference_tables
from reports.facts import gather_facts
from reports.published.rows import paper_table
from reports.standing import Standing
from reports.table import Table
from reports.tables import build_tables
from reports.writers.tex import latex

NASTY = r"A&B_100% #1 {x} ~^ $5 \cmd <b>|*\ \end{tabular} \\ 50 % ““é"
# All that the floats may use: plain LaTeX and booktabs, which their first line asks for.
COMMANDS = {
    *(
        "begin",
        "end",
        "centering",
        "caption",
        "label",
        "vspace",
        "footnotesize",
        "scriptsize",
        "setlength",
        "tabcolsep",
    ),
    *("toprule", "midrule", "bottomrule", "multicolumn", "textbf", "textit", "underline", "textsuperscript", "par"),
    *(
        "raggedright",
        "textbackslash",
        "textasciitilde",
        "textasciicircum",
        "textless",
        "textgreater",
        "textbar",
        "ldots",
    ),
    *("pm", "downarrow", "uparrow", "times"),
}
ENVIRONMENTS = {"table*", "tabular"}


def _tables() -> Iterator[Table]:
    cells = summaries()
    cells["e4e", "pose+"]["asked_psnr@synthetic-2"] = FakeCell(None, None, None, 0, 240)
    absent = {
        "methods": {"hyperstyle": {"reason": NASTY, "command": "run_bench.py weights fetch a_b"}},
        "columns": {"kid@synthetic-2": {"status": "missing", "reason": NASTY}},
    }
    titles = {name: {"title": f"{name} {NASTY}"} for name in ("e4e", "styleres", "warpres", "warpres-s2")}
    for pass_name in ("reconstruction", "pose+"):
        cells["warpres-s2", pass_name] = cells["warpres", pass_name]
    notes = [{"column": "smile+", "note": NASTY}]
    known = gather_facts(
        manifest(
            missing=absent, methods=titles, passes=notes, filled_weights=[NASTY], unfinished=f"Unfinished: {NASTY}"
        )
    )
    for every in (False, True):
        tables = build_tables(cells, passes(), known, every=every)
        yield from (*tables, *difference_tables(tables, Standing(known)))
    for which, protocol in ((1, "paper-1"), (2, "paper-1"), (2, "synthetic-2")):
        yield paper_table(which, summaries(protocol), facts(missing=absent), protocol)


TEXTS = [pytest.param(latex(table), id=f"{at}-{table.slug}") for at, table in enumerate(_tables())]


@pytest.mark.parametrize("text", TEXTS)
def test_braces_and_environments_close_in_order(text: str) -> None:
    opened: list[str] = []
    plain = re.sub(r"\\[\\{}$&#%_,]", "", "\n".join(line for line in text.splitlines() if not line.startswith("%")))
    for found in re.finditer(r"\\(begin|end)\{([^}]*)\}|([{}])", plain):
        word, name, brace = found.groups()
        if word == "begin" or brace == "{":
            opened.append(name or "{")
        else:
            assert opened and opened.pop() == (name or "{"), plain[max(0, found.start() - 60) : found.end()]
        assert name is None or name in ENVIRONMENTS
    assert not opened


@pytest.mark.parametrize("text", TEXTS)
def test_every_row_has_a_cell_for_every_column(text: str) -> None:
    bodies = re.findall(r"\\begin\{tabular\}\{([lrc]+)\}\n(.*?)\\end\{tabular\}", text, re.DOTALL)
    assert len(bodies) == text.count(r"\begin{tabular}")
    for columns, body in bodies:
        for line in body.strip().splitlines():
            if re.fullmatch(r"\\(top|mid|bottom)rule", line):
                continue
            assert line.endswith(r" \\")
            spans = sum(int(wide) - 1 for wide in re.findall(r"\\multicolumn\{(\d+)\}\{[lrc]\}", line))
            assert len(re.findall(r"(?<!\\)&", line)) + 1 + spans == len(columns), line


@pytest.mark.parametrize("text", TEXTS)
def test_nothing_bare_is_left(text: str) -> None:
    for line in text.splitlines():
        if line.startswith("%"):
            assert line == r"% needs \usepackage{booktabs}"
            continue
        assert {*re.findall(r"\\([A-Za-z]+)", line)} <= COMMANDS, line
        assert len(re.findall(r"(?<!\\)\$", line)) % 2 == 0, line
        # What only mathematics may have stands between dollars.
        outside = re.sub(r"(?<!\\)\$.*?(?<!\\)\$", "", line)
        assert not re.search(r"[\^~<>|\"]|(?<!\\)[%#_]|\\(?:pm|downarrow|uparrow|times)\b", outside), line
        # Letters that LaTeX's own fonts have.
        assert all(ord(letter) < 0x180 or letter in "“”‘’–—…" for letter in line), line


def test_a_float_has_a_label_of_its_own() -> None:
    texts = [latex(table) for table in build_tables(summaries(), passes(), facts())]
    found = re.findall(r"\\label\{([^}]*)\}", "\n".join(texts))
    assert len(found) == len({*found}) > 2 and all(re.fullmatch(r"tab:[a-z0-9-]+", label) for label in found)


@pytest.mark.parametrize("edit", ["pose", "lipstick_and_age"])
def test_a_warning_on_a_block_stands_in_its_float(edit: str) -> None:
    """Whatever an edit is called; a card of StyleCLIP's is called so."""
    cells = {(method, name.replace("pose", edit)): own for (method, name), own in summaries().items()}
    known = [replace(item, pass_name=item.pass_name.replace("pose", edit)) for item in passes()]
    table = next(item for item in build_tables(cells, known, facts()) if item.remarks)
    floats = latex(table).split(r"\begin{table*}")[1:]
    (titles,) = table.remarks.values()
    assert edit.replace("_", " ").capitalize() in titles
    for block, text in zip(table.blocks, floats, strict=True):
        assert text.count("did different shares") == (block.title in titles)
