"""From a run's rows to the cells of its tables: a pure function of rows sorted by (method, pass, image)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.contract import Domain
from bench.core.errors import MissingError
from bench.results.store import ORIGINAL, REAL, REAL_JPEG, TRUTH, Row, load_features
from bench.results.wholeness import chosen, count_rows, planned_rows
from metrics.floors import half_split
from metrics.intervals import mean_interval
from metrics.protocol import ProtocolFile, load_protocol
from metrics.summary import WHOLE_IMAGE, Cell, summarise

RECONSTRUCTION = "reconstruction"
# A row of tables that has no rows of its own: it is made of the real pictures' features.
REAL_HALVES = "real-halves"
Summaries = dict[tuple[str, str], dict[str, Cell]]


def summarise_run(run: Path, manifest: Mapping[str, Any], rows: Sequence[Row]) -> Summaries:
    """Cells of every (method, pass), columns written `metric@protocol`.

    Besides the methods there are the floors of each pass, see `_Table.floors`.

    Raises MissingError where a protocol's file is no longer the one that the rows were made by.
    """
    cells: Summaries = {}
    for protocol, about in manifest["protocols"].items():
        own = [row for row in rows if row.protocol == protocol]
        table = _Table(
            run, rules_of(run, protocol, about), manifest["domain"], own, manifest["pictures"], _listed(about)
        )
        for method, edit, found in _blocks(manifest, own):
            cells.setdefault((method, edit["column"]), {}).update(table.cells(found, edit))
        for edit in manifest["passes"]:
            for floor, made in table.floors(edit):
                cells.setdefault((floor, edit["column"]), {}).update(made)
    _mark_unfinished(cells, manifest, rows)
    return {block: found for block, found in cells.items() if found}


def _mark_unfinished(cells: Summaries, manifest: Mapping[str, Any], rows: Sequence[Row]) -> None:
    """Say in each cell how many images are planned, where results of some are not there; add cells that have none."""
    there = count_rows(rows)
    images = manifest["pictures"]
    passes = {edit["column"]: edit for edit in manifest["passes"]}
    for block, planned in planned_rows(manifest).items():
        if there.get(block, 0) >= planned:
            continue
        if block.pass_name == ORIGINAL:
            for edit in passes.values():
                _mark_references(cells, edit, block.protocol, images)
            continue
        own = cells.setdefault((block.method, block.pass_name), {})
        for metric in sorted(_listed(manifest["protocols"][block.protocol]) or ()):
            own.setdefault(f"{metric}@{block.protocol}", Cell(None, None, None, 0, 0, "skip"))
        for name in _of(own, block.protocol):
            own[name] = replace(own[name], planned=planned)


def _mark_references(cells: Summaries, edit: Mapping[str, Any], protocol: str, images: Mapping[str, Any]) -> None:
    """Of a pass, where rows of real images are missing: its floors, and every set metric."""
    made, real = (len(chosen(images, edit.get(side, "all"))) for side in ("inputs", "reals"))
    for (method, column), own in cells.items():
        if column != edit["column"]:
            continue
        for name in _of(own, protocol):
            if method in (REAL, REAL_HALVES, REAL_JPEG):
                own[name] = replace(own[name], planned=made if method == REAL else real)
            elif own[name].reference_n is not None:
                own[name] = replace(own[name], reference_planned=real)


def _of(cells: Mapping[str, Cell], protocol: str) -> list[str]:
    return [name for name in cells if name.endswith(f"@{protocol}")]


def rules_of(run: Path, protocol: str, about: Mapping[str, Any]) -> ProtocolFile:
    """The protocol file, if it still is the run's: another rule for failures would give old rows new numbers unseen."""
    rules = load_protocol(about.get("file") or protocol)
    if about.get("rules", rules.digest) != rules.digest:
        where = about.get("file") or f"{protocol}.toml"
        raise MissingError(
            f"{run}: its rows were made by another {protocol}: {where} has changed since",
            "restore that file; or give the changed one a new name and run it with --protocols",
        )
    return rules


def _listed(about: Mapping[str, Any]) -> frozenset[str] | None:
    """Metrics that the run could measure; None where the manifest does not say."""
    names = [*about.get("pair_metrics", ()), *about.get("set_metrics", ())]
    return frozenset(names) if names else None


def _blocks(manifest: Mapping[str, Any], rows: Sequence[Row]) -> Iterator[tuple[str, Mapping[str, Any], list[Row]]]:
    by_block: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        by_block.setdefault((row.method, row.pass_name), []).append(row)
    for edit in manifest["passes"]:
        for method in manifest["methods"]:
            found = by_block.get((method, edit["column"]))
            if found:
                yield method, edit, sorted(found, key=lambda row: row.image)


class _Table:
    """One protocol's real images: the features methods are compared with and the floors, made once a subset."""

    def __init__(
        self,
        run: Path,
        rules: ProtocolFile,
        domain: Domain,
        rows: Sequence[Row],
        images: Mapping[str, Mapping[str, Any]],
        measured: frozenset[str] | None = None,
    ) -> None:
        self.run, self.rules, self.domain, self.images, self.measured = run, rules, domain, images, measured
        self._rows = {
            name: {row.image: row for row in rows if row.method == name and row.pass_name == ORIGINAL}
            for name in (REAL, REAL_JPEG)
        }
        self._known = [row for row in rows if row.method in (REAL, TRUTH) and row.pass_name != ORIGINAL]
        self._references: dict[str, Mapping[str, np.ndarray]] = {}
        self._floors: dict[tuple[str, str], Mapping[str, Cell]] = {}

    def floors(self, edit: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Cell]]]:
        """Cells of a pass's reference rows: (row name, cells).

        "real": the images that go into an edit, not edited: what doing nothing scores, against the true edit as well
        where that is known. Where they are the pass's real images too, its set metrics would compare a set with
        itself and are left out. "truth": the true edits as they were asked for, as if a method had made them.
        "real-halves": random halves of the pass's real images. "real-jpeg": the pass's real images before JPEG and
        after it, where the protocol stores JPEG.
        """
        inputs, reals = edit["inputs"], edit["reals"]
        if edit["column"] != RECONSTRUCTION:
            own = {
                name: [r for r in self._known if (r.method, r.pass_name) == (name, edit["column"])]
                for name in (REAL, TRUTH)
            }
            still = self.cells(self._named(REAL, inputs), edit, sets=inputs != reals)
            yield REAL, {**still, **self._observed([row.values for row in own[REAL]], [_why(row) for row in own[REAL]])}
            yield TRUTH, self.cells(sorted(own[TRUTH], key=lambda row: row.image), edit)
        yield REAL_HALVES, self._once((REAL_HALVES, reals), lambda: self._halves(reals))
        same = {"inputs": reals, "reals": reals}
        yield REAL_JPEG, self._once((REAL_JPEG, reals), lambda: self.cells(self._named(REAL_JPEG, reals), same))

    def _once(self, key: tuple[str, str], make: Callable[[], Mapping[str, Cell]]) -> Mapping[str, Cell]:
        if key not in self._floors:
            self._floors[key] = make()
        return self._floors[key]

    def _halves(self, expression: str) -> Mapping[str, Cell]:
        count = len(self._named(REAL, expression))
        return half_split(self._reference(expression), self.rules, domain=self.domain, count=count)

    def _named(self, method: str, expression: str) -> list[Row]:
        """Rows of the real images of a subset, by image."""
        rows = self._rows[method]
        return [rows[name] for name in sorted(chosen(self.images, expression)) if name in rows]

    def cells(self, rows: list[Row], edit: Mapping[str, Any], *, sets: bool = True) -> dict[str, Cell]:
        """Cells of one method's rows of a pass; without `sets`, those with one value an image alone."""
        values = [row.values for row in rows]
        failures = [_why(row) for row in rows]
        found = summarise(
            values,
            failures,
            self._features(rows) if sets else {},
            self._reference(edit["reals"]),
            self.rules,
            domain=self.domain,
            paired=edit["inputs"] == edit["reals"],
            measured=self.measured,
        )
        return {**found, **self._observed(values, failures)}

    def _observed(
        self, values: Sequence[Mapping[str, float]], failures: Sequence[Mapping[str, str]]
    ) -> dict[str, Cell]:
        """Cells of what observers measured, which no protocol file lists: plain means, failures left out."""
        listed = {column.metric for column in self.rules.columns}
        metrics = sorted({metric for row in (*values, *failures) for metric in row} - listed - {WHOLE_IMAGE})
        cells = {}
        for metric in metrics:
            known = [row[metric] for row in values if metric in row]
            failed = sum(metric in row or WHOLE_IMAGE in row for row in failures)
            low, high = mean_interval(known, self.rules.numbers) if known else (None, None)
            mean = math.fsum(known) / len(known) if known else None
            cells[f"{metric}@{self.rules.name}"] = Cell(mean, low, high, len(known), failed, "skip")
        return cells

    def _features(self, rows: list[Row]) -> dict[str, np.ndarray]:
        metrics = sorted({metric for row in rows for metric in row.features})
        return {
            metric: load_features(self.run, [row for row in rows if metric in row.features], metric)
            for metric in metrics
        }

    def _reference(self, expression: str) -> Mapping[str, np.ndarray]:
        if expression not in self._references:
            self._references[expression] = self._features(self._named(REAL, expression))
        return self._references[expression]


def _why(row: Row) -> Mapping[str, str]:
    """What a row has no value for, and why; all of it where the image failed."""
    return {WHOLE_IMAGE: row.reason or "failed"} if row.status == "failed" else row.failures
