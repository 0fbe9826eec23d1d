"""Rows of what is no method, where an observer knows the true edit: the input as it is, and the true edit itself.

Under every edit they say what doing nothing scores and what the perfect edit scores.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from bench.core.contract import EditPass
from bench.core.evaluator import Evaluator, Scored
from bench.core.observer import Output
from bench.plan.work import Work
from bench.results.row import TRUTH, Row
from bench.run.observed import ASKED
from bench.run.real_images import RealGroup
from bench.run.rows import Entry, failed, scored_row
from bench.run.sample_images import SampleImages


class _Missing(NamedTuple):
    """Missing rows by image index, all of one name, pass and protocol."""

    name: str
    edit: EditPass
    evaluator: Evaluator
    rows: dict[int, Row]


def lacks_references(work: Work, real: RealGroup, done: Collection[str]) -> bool:
    """Whether such a row of a group is not among the keys that exist."""
    return any(_missing(work, real, done))


def reference_entries(real: RealGroup, done: Collection[str], samples: SampleImages) -> list[Entry]:
    """The missing rows of a group. The input's own scores are not repeated: they stand in its row as a real image."""
    entries: list[Entry] = []
    for item in _missing(real.work, real, done):
        entries += [failed(row, real.problems[i]) for i, row in item.rows.items() if i in real.problems]
        rows = {index: row for index, row in item.rows.items() if index not in real.problems}
        entries += _true(real, item, rows, samples) if item.name == TRUTH else _still(real, item, rows)
    return entries


def _missing(work: Work, real: RealGroup, done: Collection[str]) -> Iterator[_Missing]:
    for edit in work.reference_passes:
        members = work.members(edit)
        indices = [index for index in real.indices if index in members]
        for evaluator in work.evaluators:
            rows: dict[str, dict[int, Row]] = {}
            for index in indices:
                for row in work.reference_rows(index, edit, evaluator):
                    if row.key not in done:
                        rows.setdefault(row.method, {})[index] = row
            yield from (_Missing(name, edit, evaluator, found) for name, found in rows.items())


def _still(real: RealGroup, item: _Missing, rows: dict[int, Row]) -> list[Entry]:
    """The input as it is."""
    seen = real.seen[item.evaluator.protocol].features
    outputs = {i: Output(real.work.images[i], real.images[i], item.edit, real.images[i]) for i in rows}
    observed = real.truth.observe(item.evaluator, outputs, seen, (ASKED,))
    return [scored_row(row, Scored({}, {}, {}), observed[index]) for index, row in rows.items()]


def _true(real: RealGroup, item: _Missing, rows: dict[int, Row], samples: SampleImages) -> list[Entry]:
    """The true edit as it was asked for, scored as if a method had made it."""
    evaluator = item.evaluator
    drawn = real.truth.asked(dict.fromkeys(rows, item.edit))
    seen = real.truth.asked_seen(evaluator, dict.fromkeys(drawn, item.edit))
    entries = [failed(rows[index], why) for index, why in seen.problems.items()]
    originals = [real.seen[evaluator.protocol].features[index] for index in seen.features]
    scored = dict(zip(seen.features, evaluator.compare(list(seen.features.values()), originals), strict=True))
    outputs = {i: Output(real.work.images[i], real.images[i], item.edit, drawn[i]) for i in seen.features}
    observed = real.truth.observe(evaluator, outputs, seen.features, ())
    entries += [scored_row(rows[index], scored[index], observed[index]) for index in seen.features]
    if evaluator is real.work.evaluators[0]:
        for index, image in drawn.items():
            samples.asked(index, item.edit, evaluator.store(image))
    return entries
