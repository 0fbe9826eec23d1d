"""The real images of a run: read, stored and looked at once a group, for every method; and their own rows."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from bench.core.errors import ImageError
from bench.core.evaluator import Evaluator
from bench.plan.work import Work
from bench.results.row import INPUT
from bench.results.store import REAL_JPEG, Row
from bench.run.beside import Beside
from bench.run.observed import GroupTruth
from bench.run.rows import Entry, Seen, extract, failed, reason, scored_row, stop_if_hopeless

# Images that are being read, by index.
Reads = dict[int, "Future[np.ndarray]"]


@dataclass
class RealGroup:
    """The real images of one group, by index.

    Attributes:
        number: Of the group; image i lies in group i // size, at place i % size of every batch.
        indices: Of its images.
        images: uint8 (H, W, 3), those that could be read.
        problems: Why others can not be used.
        stored: Protocol -> the images as it stores them, uint8 (h, w, 3).
        seen: Protocol -> what was seen in those.
        truth: The true edits of these images, for observers.
    """

    number: int
    indices: range
    truth: GroupTruth
    images: dict[int, np.ndarray] = field(default_factory=dict)
    problems: dict[int, str] = field(default_factory=dict)
    stored: dict[str, dict[int, np.ndarray]] = field(default_factory=dict)
    seen: dict[str, Seen] = field(default_factory=dict)


def group_of(work: Work, number: int) -> RealGroup:
    """A group with nothing read yet."""
    first = number * work.group
    return RealGroup(number, range(first, min(first + work.group, len(work.images))), GroupTruth(work))


def read_group(work: Work, number: int, beside: Beside, ahead: Reads) -> RealGroup:
    """Read a group's images, store them as each protocol does, and look at them with its networks.

    Args:
        ahead: Images by index that are being read already; those of this group are taken out.
    """
    real = group_of(work, number)
    start_reading(work, number, beside, ahead)
    for index in real.indices:
        try:
            real.images[index] = ahead.pop(index).result()
        except ImageError as error:
            real.problems[index] = f"{INPUT}{reason(error)}"
        except Exception as error:
            stop_if_hopeless(error)
            real.problems[index] = f"input not read: {reason(error)}"
    for evaluator in work.evaluators:
        stored = dict(zip(real.images, beside.each(evaluator.store, real.images.values()), strict=True))
        seen = extract(evaluator, stored, work.group)
        real.stored[evaluator.protocol], real.seen[evaluator.protocol] = stored, seen
        real.problems.update({index: f"input not looked at: {why}" for index, why in seen.problems.items()})
    return real


def start_reading(work: Work, number: int, beside: Beside, ahead: Reads) -> None:
    """Begin to read the images of a group that are not being read yet."""
    for index in group_of(work, number).indices:
        if index not in ahead:
            ahead[index] = beside.start(partial(work.dataset.read, work.images[index]))


@dataclass(frozen=True)
class _Missing:
    index: int
    evaluator: Evaluator
    row: Row


def lacks_rows(work: Work, real: RealGroup, done: Collection[str]) -> bool:
    """Whether a row of the group's real images is not among the keys that exist."""
    return bool(_missing(work, real, done))


def real_entries(work: Work, real: RealGroup, done: Collection[str]) -> list[Entry]:
    """The missing rows of a group's real images.

    Each image against itself (doing nothing: only failures move it), and, where a protocol stores JPEG, before it
    against after it.
    """
    missing = _missing(work, real, done)
    lossless = {evaluator.protocol: _lossless(work, real, evaluator, missing) for evaluator in work.evaluators}
    return [_entry(real, item, lossless[item.evaluator.protocol]) for item in missing]


def _missing(work: Work, real: RealGroup, done: Collection[str]) -> list[_Missing]:
    return [
        _Missing(index, evaluator, row)
        for index in real.indices
        for evaluator in work.evaluators
        for row in work.real_rows(index, evaluator)
        if row.key not in done
    ]


def _lossless(work: Work, real: RealGroup, evaluator: Evaluator, missing: list[_Missing]) -> Seen:
    """What is seen in images before JPEG, where their rows are missing."""
    asked = [item.index for item in missing if item.evaluator is evaluator and item.row.method == REAL_JPEG]
    images = {index: evaluator.store_lossless(real.images[index]) for index in asked if index in real.images}
    return extract(evaluator, images, work.group)


def _entry(real: RealGroup, item: _Missing, lossless: Seen) -> Entry:
    index, evaluator, row = item.index, item.evaluator, item.row
    if index in real.problems:
        return failed(row, real.problems[index])
    original = real.seen[evaluator.protocol].features[index]
    if row.method != REAL_JPEG:
        return scored_row(row, evaluator.compare([original], [original])[0])
    if index in lossless.problems:
        return failed(row, lossless.problems[index])
    return scored_row(row, evaluator.compare([lossless.features[index]], [original])[0])
