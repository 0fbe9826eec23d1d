"""From a run's rows to the cells of its tables: a pure function of rows sorted by (method, pass, picture)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.contract import Domain
from bench.store import ORIGINAL, REAL, Row, load_features
from metrics.intervals import mean_interval
from metrics.protocol import ProtocolFile, load_protocol
from metrics.summary import WHOLE_PICTURE, Cell, summarise

Summaries = dict[tuple[str, str], dict[str, Cell]]


def summarise_run(run: Path, manifest: Mapping[str, Any], rows: Sequence[Row]) -> Summaries:
    """Cells of every (method, pass), columns written `stem@protocol`.

    The reference row "real" has each pass's floor: the pictures that go in, as they are, against the pass's real ones.
    """
    cells: Summaries = {}
    for protocol in manifest["protocols"]:
        own = [row for row in rows if row.protocol == protocol]
        rules = load_protocol(manifest["protocols"][protocol].get("file") or protocol)
        reals = {row.picture: row for row in own if row.method == REAL and row.column == ORIGINAL}
        table = _Table(run, rules, manifest["domain"], reals, manifest["pictures"])
        for method, edit, found in _blocks(manifest, own, reals):
            made = table.cells(found, edit)
            if made:
                cells.setdefault((method, edit["column"]), {}).update(made)
    return cells


def _blocks(
    manifest: Mapping[str, Any], rows: Sequence[Row], reals: Mapping[str, Row]
) -> Iterator[tuple[str, Mapping[str, Any], list[Row]]]:
    by_block: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        by_block.setdefault((row.method, row.column), []).append(row)
    for edit in manifest["passes"]:
        for method in manifest["methods"]:
            found = by_block.get((method, edit["column"]))
            if found:
                yield method, edit, sorted(found, key=lambda row: row.picture)
        if edit["inputs"] != edit["reals"]:
            names = chosen(manifest["pictures"], edit["inputs"])
            yield REAL, edit, [reals[name] for name in sorted(names) if name in reals]


class _Table:
    """The features of one protocol's real pictures, looked up once a subset."""

    def __init__(
        self,
        run: Path,
        rules: ProtocolFile,
        domain: Domain,
        reals: Mapping[str, Row],
        pictures: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self.run, self.rules, self.domain, self.reals, self.pictures = run, rules, domain, reals, pictures
        self._references: dict[str, Mapping[str, np.ndarray]] = {}

    def cells(self, rows: list[Row], edit: Mapping[str, Any]) -> dict[str, Cell]:
        values = [row.values for row in rows]
        failures = [{WHOLE_PICTURE: row.reason or "failed"} if row.status == "failed" else row.failures for row in rows]
        found = summarise(
            values,
            failures,
            self._features(rows),
            self._reference(edit["reals"]),
            self.rules,
            domain=self.domain,
            paired=edit["inputs"] == edit["reals"],
        )
        return {**found, **self._observed(values, failures)}

    def _observed(
        self, values: Sequence[Mapping[str, float]], failures: Sequence[Mapping[str, str]]
    ) -> dict[str, Cell]:
        """Cells of what observers measured, which no protocol file lists: plain means, failures left out."""
        listed = {column.stem for column in self.rules.columns}
        stems = sorted({stem for row in (*values, *failures) for stem in row} - listed - {WHOLE_PICTURE})
        cells = {}
        for stem in stems:
            known = [row[stem] for row in values if stem in row]
            failed = sum(stem in row or WHOLE_PICTURE in row for row in failures)
            low, high = mean_interval(known, self.rules.numbers) if known else (None, None)
            mean = math.fsum(known) / len(known) if known else None
            cells[f"{stem}@{self.rules.name}"] = Cell(mean, low, high, len(known), failed, "skip")
        return cells

    def _features(self, rows: list[Row]) -> dict[str, np.ndarray]:
        stems = sorted({stem for row in rows for stem in row.features})
        return {stem: load_features(self.run, [row for row in rows if stem in row.features], stem) for stem in stems}

    def _reference(self, expression: str) -> Mapping[str, np.ndarray]:
        if expression not in self._references:
            names = sorted(chosen(self.pictures, expression))
            self._references[expression] = self._features([self.reals[name] for name in names if name in self.reals])
        return self._references[expression]


def chosen(pictures: Mapping[str, Mapping[str, Any]], expression: str) -> list[str]:
    """Names of the manifest's pictures that belong to a subset ("all", "Smiling=1")."""
    if expression == "all":
        return list(pictures)
    label, _, value = expression.partition("=")
    return [name for name, about in pictures.items() if about["attributes"][label] == int(value)]


def count_failed(rows: Sequence[Row]) -> int:
    """Rows of methods that failed as a whole; a value that alone could not be had ("no face") is not one."""
    return sum(row.status == "failed" for row in rows)
