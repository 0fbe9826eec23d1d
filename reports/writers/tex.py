"""LaTeX tables: booktabs, one float a block, everything escaped in one place. Needs booktabs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reports.numbers import digits, half_width, value_text
from reports.standing import difference_text, rule_text
from reports.table import PAGE_COLUMNS, Block, Column, Entry, Part, Row, Table, units_text

# A table's number of a footnote -> its number in one float.
Order = Mapping[int, int]

if TYPE_CHECKING:
    from jinja2 import Environment, Template

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
    '"': "''",
    "↓": r"$\downarrow$",
    "↑": r"$\uparrow$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "−": r"$-$",
    "–": "--",
    "…": r"\ldots{}",
}


def escape(text: str) -> str:
    """Text for LaTeX: every character it gives a meaning to, and those its fonts lack, written as a command."""
    return "".join(_ESCAPES.get(character, character) for character in " ".join(text.split()))


def latex(table: Table) -> str:
    """One `table*` environment a block, to be put into a paper with `\\input`; no type in it is below 6 pt.

    Nothing is scaled to fit: a block of many columns stands in pieces below one another.
    """
    template = _environment().get_template("table.tex.j2")
    blocks: dict[str, list[Part]] = {}
    for part in table.parts(PAGE_COLUMNS):
        blocks.setdefault(part.block.title, []).append(part)
    return "\n".join(_float(template, table, parts) for parts in blocks.values())


def _float(template: Template, table: Table, parts: Sequence[Part]) -> str:
    block = parts[0].block
    rows = [row for row in table.rows if row.kind != "reference" or any(part.has_number(row) for part in parts)]
    edits = {column.pass_name.block for column in block.columns}
    entries = [entry for part in parts for row in rows for entry in part.of(row)]
    # A float stands alone in a paper: its footnotes count from 1.
    numbers = sorted({0, *block.notes, *(row.note for row in rows), *(entry.note for entry in entries)} - {0})
    order = {number: place for place, number in enumerate(numbers, 1)}
    return str(
        template.render(
            table=table,
            block=block,
            parts=parts,
            rows=rows,
            notes=[(order[number], table.notes[number - 1]) for number in numbers],
            order=order,
            remarks=[remark for remark, titles in table.remarks.items() if edits.intersection(titles)],
            units=units_text(column for part in parts for column in part.columns),
            failed=any(entry.failed for entry in entries),
            label="tab:" + re.sub(r"[^A-Za-z0-9]+", "-", f"{table.slug} {block.title}").strip("-").lower(),
            legend=difference_text(table.smallest) if table.compared else rule_text(table.smallest),
        )
    )


def _environment() -> Environment:
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


def cell(entry: Entry, column: Column, order: Order) -> str:
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
        text += rf"\textsuperscript{{{order[entry.note]}}}"
    return text


def _heading(block: Block, order: Order) -> str:
    count = rf" {{\scriptsize({escape(block.count_text)})}}" if block.count_text else ""
    numbers = ", ".join(str(order[number]) for number in block.notes)
    notes = rf"\textsuperscript{{{numbers}}}" if numbers else ""
    return escape(block.title) + notes + count


def _row_title(row: Row, order: Order) -> str:
    title = escape(row.title) + (rf"\textsuperscript{{{order[row.note]}}}" if row.note else "")
    return title if row.kind == "method" else rf"\textit{{{title}}}"
