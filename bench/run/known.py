"""What is known of missing rows: columns that another protocol has measured, on images kept alike, by the same code.

A row's key holds its whole protocol, so under another protocol it is another row. But each column has a digest of its
own (`Work.column_digests`): how images are kept, its options, networks and code, the observers, the conditions. Where
that is the same, so is what stands in the row: it is copied, and only the other columns are measured. The image has to
be made again for those, since runs keep no images but the grids'; a row that lacks nothing is copied whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from bench.core.errors import MissingError
from bench.core.evaluator import Evaluator
from bench.plan.work import Work
from bench.results.columns import recorded_columns
from bench.results.features import FeatureFiles, rows_folder
from bench.results.reading import read_rows
from bench.results.row import Row
from bench.results.store import ShardWriter
from bench.run.observed import ACHIEVED, ASKED
from bench.run.pool import other_runs, shown
from bench.run.rows import Entry, failed

_AT_A_TIME = 500


@dataclass(frozen=True)
class _Source:
    """A row of another protocol about the same image.

    Attributes:
        shared: Metrics that both protocols measure alike.
        own: All metrics of the row's protocol.

    A row that failed, since its image's own bytes are no image, says all there is to say.
    """

    row: Row
    files: FeatureFiles
    shared: frozenset[str]
    own: frozenset[str]


@dataclass(frozen=True)
class _Part:
    """What is known of a row, and of which metrics that is everything."""

    metrics: set[str] = field(default_factory=set)
    values: dict[str, float] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    features: dict[str, np.ndarray] = field(default_factory=dict)

    def complete(self, entry: Entry) -> Entry:
        """A row of which the other metrics were measured, with these."""
        row = entry.row
        if row.status != "ok":
            return entry
        values, failures = {**self.values, **row.values}, {**self.failures, **row.failures}
        return Entry(replace(row, values=values, failures=failures), {**self.features, **entry.features})


class Known:
    """What is known of the missing rows of a run, by key."""

    def __init__(self, sources: Mapping[str, Sequence[_Source]] | None = None) -> None:
        self._sources = sources or {}
        self._parts: dict[str, _Part] = {}

    @property
    def keys(self) -> frozenset[str]:
        """Of the rows of which something is known."""
        return frozenset(self._sources)

    def __bool__(self) -> bool:
        return bool(self._sources)

    def lacking(self, row: Row, evaluator: Evaluator) -> set[str]:
        """Metrics of a row that nothing is known of."""
        known = {metric for source in self._sources.get(row.key, ()) for metric in source.shared}
        return set(evaluator.column_digests) - known

    def in_part(self, work: Work, rows: Iterable[Row]) -> str:
        """How many of the rows are known in part, and what they lack, in a sentence; "" for none."""
        evaluators = {evaluator.protocol: evaluator for evaluator in work.evaluators}
        left = [self.lacking(row, evaluators[row.protocol]) for row in rows if row.key in self._sources]
        names = ", ".join(sorted(set().union(*left))) or "their images"
        return f"{len(left)} results lack {names} alone: other protocols have measured the rest" if left else ""

    def complete(self, work: Work, rows: Sequence[Row]) -> list[Row]:
        """Those of the rows that are copied from other protocols, as far as can be told without reading features."""
        evaluators = {evaluator.protocol: evaluator for evaluator in work.evaluators}
        pictured = shown(work, rows)
        known = (row for row in rows if row.key in self._sources and row.key not in pictured)
        return [row for row in known if not self.lacking(row, evaluators[row.protocol])]

    def narrowed(self, work: Work, missing: Iterable[tuple[Row, Evaluator]]) -> Work:
        """The work with evaluators that measure no more than the rows in hand lack; what is known of these is read."""
        if not self._sources:
            return work
        lacks: dict[str, set[str]] = {evaluator.protocol: set() for evaluator in work.evaluators}
        for row, evaluator in missing:
            part = self._parts[row.key] = self._part(row.key)
            lacks[evaluator.protocol] |= evaluator.column_digests.keys() - part.metrics
        return work.measuring(lacks)

    def completed(self, entry: Entry) -> Entry:
        """A row that is made, with what is known of it beside what was measured."""
        part = self._parts.pop(entry.row.key, None)
        return entry if part is None else part.complete(entry)

    def whole(self, rows: Iterable[tuple[Row, Evaluator]]) -> Iterator[Entry]:
        """Those of the rows of which everything is known; what observers say of the image is theirs too."""
        for row, evaluator in rows:
            if row.key in self._sources and not self.lacking(row, evaluator):
                part = self._part(row.key)
                source = self._sources[row.key][0]
                if source.row.status != "ok":
                    yield failed(row, source.row.reason or "")
                elif part.metrics >= evaluator.column_digests.keys():
                    values = {name: v for name, v in source.row.values.items() if _metric(name) not in source.own}
                    failures = {name: v for name, v in source.row.failures.items() if _metric(name) not in source.own}
                    yield part.complete(Entry(replace(row, values=values, failures=failures), {}))

    def _part(self, key: str) -> _Part:
        part = _Part()
        for source in self._sources.get(key, ()):
            row = source.row
            for metric in sorted(source.shared - part.metrics):
                if metric in row.features:
                    try:
                        part.features[metric] = np.array(source.files.read(row, metric))
                    except MissingError:
                        continue  # damaged there: measured here
                part.metrics.add(metric)
                part.values.update({name: value for name, value in row.values.items() if _metric(name) == metric})
                part.failures.update({name: why for name, why in row.failures.items() if _metric(name) == metric})
        return part


def find_known(run: Path, work: Work, missing: Iterable[Row], *, beside: bool) -> Known:
    """What rows of other protocols know of the missing ones, in `run` and, with `beside`, in the runs beside it."""
    own = {work.protocol_digest(evaluator): work.column_digests(evaluator) for evaluator in work.evaluators}
    wanted: dict[tuple[object, ...], list[Row]] = {}
    sources: dict[str, list[_Source]] = {}
    for folder in [run, *(other_runs(run) if beside else ())]:
        there = recorded_columns(folder)
        shared = {
            (ours, theirs): frozenset(metric for metric, digest in columns.items() if found.get(metric) == digest)
            for ours, columns in own.items()
            for theirs, found in there.items()
            if ours != theirs
        }
        if not any(shared.values()):
            continue
        if not wanted:
            for row in missing:
                wanted.setdefault(_subject(row), []).append(row)
        files = FeatureFiles(rows_folder(folder))
        for row in read_rows(folder):
            for one in wanted.get(_subject(row), ()) if row.final else ():
                metrics = shared.get((one.protocol_digest, row.protocol_digest))
                if metrics and row.status != "ok":
                    metrics = frozenset(own[one.protocol_digest])  # an image that is none has no value in any column
                if metrics:
                    source = _Source(row, files, metrics, frozenset(there[row.protocol_digest]))
                    sources.setdefault(one.key, []).append(source)
    return Known(sources)


def complete_rows(run: Path, shard: str, work: Work, known: Known, missing: Sequence[Row]) -> set[str]:
    """Write the missing rows of which everything is known into a shard, but for those whose images the grids show;
    returns their keys.
    """
    evaluators = {evaluator.protocol: evaluator for evaluator in work.evaluators}
    whole = known.whole((row, evaluators[row.protocol]) for row in known.complete(work, missing))
    keys: set[str] = set()
    batch: list[Entry] = []
    with ShardWriter(run, shard) as writer:
        for entry in whole:
            batch.append(entry)
            keys.add(entry.row.key)
            if len(batch) == _AT_A_TIME:
                writer.append(batch)
                batch = []
        writer.append(batch)
    return keys


def _subject(row: Row) -> tuple[object, ...]:
    """What a row is about, whatever measures it."""
    return (
        row.image, row.image_digest, row.method, row.method_digest, row.pass_name, row.edit_digest, row.strength,
    )  # fmt: skip


def _metric(name: str) -> str:
    """The metric behind a value: "truth_psnr" is psnr against the true edit."""
    for prefix in (ASKED, ACHIEVED):
        if name.startswith(f"{prefix}_"):
            return name.removeprefix(f"{prefix}_")
    return name
