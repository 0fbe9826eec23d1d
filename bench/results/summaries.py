"""From a run's rows to the cells of its tables: a pure function of rows sorted by (method, pass, image)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bench.core.contract import Domain
from bench.core.errors import MissingError
from bench.results.features import load_features
from bench.results.recorded import recorded_protocol
from bench.results.row import ORIGINAL, REAL, REAL_JPEG, TRUTH, Row
from bench.results.wholeness import Results, chosen
from metrics.floors import half_split
from metrics.intervals import mean_interval
from metrics.protocol import ProtocolFile
from metrics.summary import WHOLE_IMAGE, Cell, summarise

RECONSTRUCTION = "reconstruction"
# A row of tables that has no rows of its own: it is made of the real images' features.
REAL_HALVES = "real-halves"
Summaries = dict[tuple[str, str], dict[str, Cell]]


def summarise_run(results: Results) -> Summaries:
    """Cells of every (method, pass) of a run, columns written `metric@protocol`.

    Besides the methods there are the floors of each pass, see `_Table.floors`.

    Raises MissingError where a protocol's file is no longer the one that the rows were made by.
    """
    manifest, cells = results.manifest, Summaries()
    for protocol, about in manifest["protocols"].items():
        table = _Table(results, rules_of(results, protocol), _listed(about))
        for edit in manifest["passes"]:
            for method in manifest["methods"]:
                if found := table.rows(method, edit["column"]):
                    cells.setdefault((method, edit["column"]), {}).update(table.cells(found, edit))
        for edit in manifest["passes"]:
            for floor, made in table.floors(edit):
                cells.setdefault((floor, edit["column"]), {}).update(made)
    _mark_unfinished(cells, results)
    return {block: found for block, found in cells.items() if found}


def _mark_unfinished(cells: Summaries, results: Results) -> None:
    """Say in each cell how many images are planned, where results of some are not there; add cells that have none."""
    manifest = results.manifest
    for block, (_, planned) in results.lacking.items():
        if block.pass_name == ORIGINAL:
            for edit in manifest["passes"]:
                _mark_references(cells, edit, block.protocol, manifest["pictures"])
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


def rules_of(results: Results, protocol: str) -> ProtocolFile:
    """The protocol file, if it still is the run's: another rule for failures would give old rows new numbers unseen."""
    about = results.manifest["protocols"][protocol]
    rules = recorded_protocol(results.manifest, protocol)
    if about.get("rules", rules.digest) != rules.digest:
        where = about.get("file") or f"{protocol}.toml"
        raise MissingError(
            f"{results.run}: its rows were made by another {protocol}: {where} has changed since",
            "restore that file; or give the changed one a new name and run it with --protocols",
        )
    return rules


def _listed(about: Mapping[str, Any]) -> frozenset[str] | None:
    """Metrics that the run could measure; None where the manifest does not say."""
    names = [*about.get("pair_metrics", ()), *about.get("set_metrics", ())]
    return frozenset(names) if names else None


class _Table:
    """One protocol's rows by method and pass, and what is made once of a subset of its real images."""

    def __init__(self, results: Results, rules: ProtocolFile, measured: frozenset[str] | None) -> None:
        self.results, self.rules, self.measured = results, rules, measured
        self.domain: Domain = results.manifest["domain"]
        own = results.frame[results.frame.protocol == rules.name]
        self._groups = own.groupby(["method", "pass"]).groups
        self._references: dict[str, Mapping[str, np.ndarray]] = {}
        self._floors: dict[tuple[str, str], Mapping[str, Cell]] = {}

    def rows(self, method: str, column: str, expression: str = "all") -> list[Row]:
        """A method's rows of a pass, by image; of the images of a subset alone."""
        found = [self.results.rows[at] for at in self._groups.get((method, column), ())]
        names = {*chosen(self.results.manifest["pictures"], expression)}
        return [row for row in found if row.image in names]

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
            known = self.rows(REAL, edit["column"])
            still = self.cells(self.rows(REAL, ORIGINAL, inputs), edit, sets=inputs != reals)
            yield REAL, {**still, **self._observed([row.values for row in known], [_why(row) for row in known])}
            yield TRUTH, self.cells(self.rows(TRUTH, edit["column"]), edit)
        yield REAL_HALVES, self._once((REAL_HALVES, reals), lambda: self._halves(reals))
        same = {"inputs": reals, "reals": reals}
        jpeg = self.rows(REAL_JPEG, ORIGINAL, reals)
        yield REAL_JPEG, self._once((REAL_JPEG, reals), lambda: self.cells(jpeg, same))

    def _once(self, key: tuple[str, str], make: Callable[[], Mapping[str, Cell]]) -> Mapping[str, Cell]:
        if key not in self._floors:
            self._floors[key] = make()
        return self._floors[key]

    def _halves(self, expression: str) -> Mapping[str, Cell]:
        count = len(self.rows(REAL, ORIGINAL, expression))
        return half_split(self._reference(expression), self.rules, domain=self.domain, count=count)

    def cells(self, rows: list[Row], edit: Mapping[str, Any], *, sets: bool = True) -> dict[str, Cell]:
        """Cells of one method's rows of a pass; without `sets`, those with one value an image alone."""
        values = [dict(row.values) for row in rows]
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
            metric: load_features(self.results.run, [row for row in rows if metric in row.features], metric)
            for metric in metrics
        }

    def _reference(self, expression: str) -> Mapping[str, np.ndarray]:
        if expression not in self._references:
            self._references[expression] = self._features(self.rows(REAL, ORIGINAL, expression))
        return self._references[expression]


def _why(row: Row) -> Mapping[str, str]:
    """What a row has no value for, and why; all of it where the image failed."""
    return {WHOLE_IMAGE: row.reason or "failed"} if row.status == "failed" else row.failures
