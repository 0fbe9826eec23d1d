"""LaTeX tables: booktabs, heads of two lines, everything escaped in one place. Needs booktabs and graphicx."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reports.numbers import digits, half_width, value_text
from reports.table import Block, Column, Entry, Row, Table

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "↓": r"$\downarrow$",
    "↑": r"$\uparrow$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "−": r"$-$",
    "–": "--",
}


def escape(text: str) -> str:
    """Text for LaTeX: every character it gives a meaning to, and those its fonts lack, written as a command."""
    return "".join(_ESCAPES.get(character, character) for character in " ".join(text.split()))


def latex(table: Table) -> str:
    """A whole `table*` environment, to be put into a paper with `\\input`."""
    environment = _environment()
    template = environment.get_template("table.tex.j2")
    spans, start = [], 2
    for block in table.blocks:
        spans.append((block, start, start + len(block.columns) - 1))
        start += len(block.columns)
    label = "tab:" + table.slug.replace("@", "-").replace(".", "-")
    failed = any(entry.failed for row in table.rows for entry in row.entries)
    return str(template.render(table=table, spans=spans, failed=failed, label=label))


def _environment() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parents[1]),
        autoescape=False,  # LaTeX is escaped by `escape`, below, not by HTML rules
        undefined=StrictUndefined,
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(tex=escape, cell=cell, heading=_heading, row_title=_row_title)
    return environment


def cell(entry: Entry, column: Column) -> str:
    r""" "\textbf{6.59}\,{\scriptsize$\pm$0.18}"; the count of failures stands as a superscript !k."""
    text = escape(value_text(entry, column))
    if entry.mark:
        command = r"\underline" if entry.mark == "second" else r"\textbf"
        text = f"{command}{{{text}}}"
    if (half := half_width(entry)) is not None:
        text += rf"\,{{\scriptsize$\pm${escape(digits(half, column.metric.decimals))}}}"
    if entry.failed:
        text += rf"\textsuperscript{{!{entry.failed}}}"
    if entry.part:
        text += rf"\,{{\scriptsize({escape(entry.part)})}}"
    if entry.note:
        text += rf"\textsuperscript{{{entry.note}}}"
    return text


def _heading(block: Block) -> str:
    count = rf" {{\scriptsize({escape(block.count_text)})}}" if block.count_text else ""
    notes = rf"\textsuperscript{{{block.note_text}}}" if block.notes else ""
    return escape(block.title) + notes + count


def _row_title(row: Row) -> str:
    title = escape(row.title) + (rf"\textsuperscript{{{row.note}}}" if row.note else "")
    return title if row.kind == "method" else rf"\textit{{{title}}}"
