"""What the reports are made of: cells, passes, and the facts of a manifest. No model, no image, no clock."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.core.contract import EditPass
from metrics.protocol import Bootstrap
from metrics.summary import Cell
from reports.columns import Metric, metric

Pass = EditPass
Summaries = Mapping[tuple[str, str], Mapping[str, Cell]]
"""(method, pass) -> column `metric@protocol` -> cell."""


def number(cell: Cell | None) -> float | None:
    """The finite value of a cell, or None."""
    if cell is None or cell.value is None or not math.isfinite(cell.value):
        return None
    return float(cell.value)


def reference_count(cell: Cell | None) -> int | None:
    """Real images that a set metric compares with (its `reference_n`); None for any other cell."""
    return None if cell is None else cell.reference_n


def needed_count(cell: Cell | None) -> int | None:
    """Images on either side from which the protocol gives a set metric a number, where there are fewer; else None."""
    return None if cell is None else cell.needs_n


def part_text(cell: Cell | None) -> str:
    """What an unfinished cell is made of, "64 of 200", or "64 of 64, against 32 of 64"; empty for a whole one."""
    if cell is None or (cell.planned is None and cell.reference_planned is None):
        return ""
    planned, real = cell.planned, cell.reference_planned
    own = cell.n + (cell.failed if cell.rule != "zero" else 0)
    text = f"{own:,} of {own if planned is None else planned:,}"
    return text if real is None else f"{text}, against {reference_count(cell) or 0:,} of {real:,}"


def interval(cell: Cell | None) -> tuple[float, float] | None:
    """The finite 95 % interval of a cell that has a value, or None."""
    if cell is None or number(cell) is None or cell.low is None or cell.high is None:
        return None
    if not (math.isfinite(cell.low) and math.isfinite(cell.high)):
        return None
    return float(cell.low), float(cell.high)


@dataclass(frozen=True)
class Absence:
    """Why something is not in the table, and what changes that.

    Attributes:
        status: What the cell says: "missing", "not released" or "n/a".
        reason: One sentence.
        command: What to run next; empty when nothing helps.
    """

    status: str
    reason: str
    command: str = ""

    @classmethod
    def read(cls, value: object) -> Absence:
        """From a manifest: a sentence, or a mapping with status, reason and command (or next_step)."""
        if not isinstance(value, Mapping):
            return cls("missing", str(value))
        command = str(value.get("command") or value.get("next_step") or value.get("next") or "")
        return cls(str(value.get("status", "missing")), str(value.get("reason", "")), command)

    def sentence(self) -> str:
        """Why, and what changes it."""
        text = self.reason or self.status
        return f"{text.rstrip('.')}. Get it: {self.command}" if self.command else text


@dataclass(frozen=True)
class Facts:
    """The part of a manifest that tables and the page read; every key is optional there.

    Attributes:
        run, title: Name of the run, and its heading.
        command: Command line, as typed.
        paper_table: 1, 2 or 3 when the run follows a table of the paper ("paper_table").
        titles, places: Method -> name to print, and place among the rows ("methods": {name: {"title": ...}}).
        methods: Methods that were asked for, in order, also those that could not run.
        references: Rows that are no methods: floors and "no edit" ("references": {name: title}).
        absent_methods, absent_columns: Method, or `metric@protocol`, -> why it is not there
            ("missing": {"methods": ..., "columns": ...}).
        absent_cells: (method, pass) -> why the method does not take that edit
            ("methods": {name: {"not_applicable": {pass: reason}}}).
        columns: `metric@protocol` -> what the protocol says of it: title, better, what
            ("protocols": {name: {"columns": [{"stem": ..., ...}]}}).
        strengths: (method, pass) -> strength, where it is the method's own
            ("methods": {name: {"passes": {pass: {"strength": ...}}}}).
        range_shares: (method, pass) -> share of the method's range that a matched strength compares
            ("methods": {name: {"passes": {pass: {"range_share": ...}}}}).
        pass_notes: Pass -> what is unusual about its images ("passes": [{"column": ..., "note": ...}]).
        filled: Networks whose weights are a test pattern ("filled_weights": true or names): numbers mean nothing.
        unfinished: What is said of a run that lacks results; empty for a whole one.
        marked_from: Protocol -> fewest images from which it calls a method better ("smallest_marked" of its file).
    """

    run: str = ""
    title: str = ""
    command: str = ""
    paper_table: int | None = None
    paper_figure: int | None = None
    titles: Mapping[str, str] = field(default_factory=dict)
    places: Mapping[str, int] = field(default_factory=dict)
    methods: tuple[str, ...] = ()
    references: Mapping[str, str] = field(default_factory=dict)
    absent_methods: Mapping[str, Absence] = field(default_factory=dict)
    absent_columns: Mapping[str, Absence] = field(default_factory=dict)
    absent_cells: Mapping[tuple[str, str], Absence] = field(default_factory=dict)
    columns: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    strengths: Mapping[tuple[str, str], float] = field(default_factory=dict)
    range_shares: Mapping[tuple[str, str], float] = field(default_factory=dict)
    pass_notes: Mapping[str, str] = field(default_factory=dict)
    filled: tuple[str, ...] = ()
    unfinished: str = ""
    marked_from: Mapping[str, int] = field(default_factory=dict)

    def smallest_marked(self, protocol: str) -> int:
        """Fewest images from which a method is called better under a protocol."""
        return self.marked_from.get(protocol, Bootstrap.smallest_marked)

    @property
    def warning(self) -> str:
        """What every table says first: of a run that lacks results, or has filled weights; empty for any other run."""
        said = [self.unfinished] if self.unfinished else []
        if self.filled:
            names = ", ".join(self.filled)
            said.append(f"Filled weights ({names}): a test pattern, not trained. These numbers mean nothing.")
        return " ".join(said)

    def metric(self, name: str, protocol: str) -> Metric:
        """How a column is written: the protocol's own words, then the catalogue's."""
        return metric(name, self.columns.get(f"{name}@{protocol}"))

    @classmethod
    def from_manifest(cls, manifest: Mapping[str, Any]) -> Facts:
        """Read a manifest; unknown keys are left alone, absent keys mean "none"."""
        methods = manifest.get("methods") or {}
        missing = manifest.get("missing") or {}
        table, figure = manifest.get("paper_table"), manifest.get("paper_figure")
        return cls(
            run=str(manifest.get("run") or manifest.get("name") or ""),
            title=str(manifest.get("title") or ""),
            command=_command(manifest.get("command", "")),
            paper_table=int(table) if table in (1, 2, 3) else None,
            paper_figure=int(figure) if figure in (1, 3, 4, 5, 6, 7) else None,
            titles=_titles(methods),
            places=_places(methods),
            methods=tuple(str(name) for name in methods),
            references={str(name): str(title) for name, title in _pairs(manifest.get("references"))},
            absent_methods={str(name): Absence.read(why) for name, why in _pairs(missing.get("methods"))},
            absent_columns={str(name): Absence.read(why) for name, why in _pairs(missing.get("columns"))},
            absent_cells=_absent_cells(methods),
            columns=_columns(manifest.get("protocols")),
            strengths=_numbers_of_passes(methods, "strength"),
            range_shares=_numbers_of_passes(methods, "range_share"),
            pass_notes=_pass_notes(manifest.get("passes")),
            filled=_filled(manifest.get("filled_weights")),
            unfinished=str(manifest.get("unfinished") or ""),
        )


def _command(value: object) -> str:
    import shlex

    return shlex.join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _pairs(value: object) -> Sequence[tuple[Any, Any]]:
    return list(value.items()) if isinstance(value, Mapping) else []


def _places(methods: object) -> dict[str, int]:
    found = {name: about.get("place") for name, about in _pairs(methods) if isinstance(about, Mapping)}
    return {str(name): place for name, place in found.items() if isinstance(place, int)}


def _titles(methods: object) -> dict[str, str]:
    found = {name: about.get("title") for name, about in _pairs(methods) if isinstance(about, Mapping)}
    return {str(name): str(title) for name, title in found.items() if title}


def _numbers_of_passes(methods: object, key: str) -> dict[tuple[str, str], float]:
    return {
        (str(name), str(pass_name)): float(own[key])
        for name, about in _pairs(methods)
        if isinstance(about, Mapping)
        for pass_name, own in _pairs(about.get("passes"))
        if isinstance(own, Mapping) and key in own
    }


def _absent_cells(methods: object) -> dict[tuple[str, str], Absence]:
    return {
        (str(name), str(pass_name)): Absence("n/a", str(reason))
        for name, about in _pairs(methods)
        if isinstance(about, Mapping)
        for pass_name, reason in _pairs(about.get("not_applicable"))
    }


def _pass_notes(passes: object) -> dict[str, str]:
    known = [item for item in passes if isinstance(item, Mapping)] if isinstance(passes, list | tuple) else []
    return {str(item["column"]): str(item["note"]) for item in known if item.get("note")}


def _columns(protocols: object) -> dict[str, Mapping[str, Any]]:
    return {
        f"{column['stem']}@{name}": column
        for name, about in _pairs(protocols)
        if isinstance(about, Mapping)
        for column in about.get("columns") or ()
    }


def _filled(value: object) -> tuple[str, ...]:
    if not value:
        return ()
    if isinstance(value, str) or not isinstance(value, Sequence):
        return ("all networks",) if value is True else (str(value),)
    return tuple(str(name) for name in value)
