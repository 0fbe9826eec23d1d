"""The real images of a run: read and stored once, looked at once a group, for every method; and their own rows."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from bench.core.errors import ImageError
from bench.core.evaluator import Evaluator
from bench.plan.work import Work
from bench.results.row import INPUT, REAL_JPEG, Row
from bench.run.beside import Beside
from bench.run.observed import GroupTruth
from bench.run.rows import Entry, Seen, extract, failed, reason, scored_row, stop_if_hopeless


@dataclass(frozen=True)
class RealImage:
    """One real image, uint8 (H, W, 3); by protocol as it stores it, uint8 (h, w, 3), and before JPEG."""

    pixels: np.ndarray
    lossless: dict[str, np.ndarray]
    stored: dict[str, np.ndarray]


@dataclass
class RealGroup:
    """The real images of one group, by index.

    Attributes:
        work: What the run does, with evaluators that measure what the group lacks.
        number: Of the group; image i lies in group i // size, at place i % size of every batch.
        indices: Of its images.
        reads: Its images, which are being read.
        images: uint8 (H, W, 3), those that could be read.
        problems: Why others can not be used.
        lossless: Protocol -> the images before JPEG, uint8 (h, w, 3).
        stored: Protocol -> the images as it stores them, uint8 (h, w, 3).
        seen: Protocol -> what was seen in those.
        truth: The true edits of these images, for observers.
    """

    work: Work
    number: int
    indices: range
    truth: GroupTruth
    reads: dict[int, Future[RealImage]] = field(default_factory=dict)
    images: dict[int, np.ndarray] = field(default_factory=dict)
    problems: dict[int, str] = field(default_factory=dict)
    lossless: dict[str, dict[int, np.ndarray]] = field(default_factory=dict)
    stored: dict[str, dict[int, np.ndarray]] = field(default_factory=dict)
    seen: dict[str, Seen] = field(default_factory=dict)


def group_of(work: Work, number: int) -> RealGroup:
    """A group with nothing read yet."""
    first = number * work.group
    return RealGroup(work, number, range(first, min(first + work.group, len(work.images))), GroupTruth(work))


def start_reading(work: Work, number: int, beside: Beside) -> RealGroup:
    """A group whose images are being read, and stored as each protocol does."""
    real = group_of(work, number)
    real.reads = {index: beside.start(partial(_read, work, index)) for index in real.indices}
    return real


def _read(work: Work, index: int) -> RealImage:
    pixels = work.dataset.read(work.images[index])
    lossless = {evaluator.protocol: evaluator.store_lossless(pixels) for evaluator in work.evaluators}
    stored = {evaluator.protocol: evaluator.compress(lossless[evaluator.protocol]) for evaluator in work.evaluators}
    return RealImage(pixels, lossless, stored)


def look_at(real: RealGroup) -> None:
    """Wait for a group's images, and look at them with the networks of each protocol."""
    found: dict[int, RealImage] = {}
    for index, read in real.reads.items():
        try:
            found[index] = read.result()
        except ImageError as error:
            real.problems[index] = f"{INPUT}{reason(error)}"
        except Exception as error:
            stop_if_hopeless(error)
            real.problems[index] = f"input not read: {reason(error)}"
    real.images = {index: image.pixels for index, image in found.items()}
    for evaluator in real.work.evaluators:
        protocol = evaluator.protocol
        real.lossless[protocol] = {index: image.lossless[protocol] for index, image in found.items()}
        real.stored[protocol] = {index: image.stored[protocol] for index, image in found.items()}
        real.seen[protocol] = extract(evaluator, real.stored[protocol], real.work.group)
        real.problems.update(
            {index: f"input not looked at: {why}" for index, why in real.seen[protocol].problems.items()}
        )


@dataclass(frozen=True)
class _Missing:
    index: int
    evaluator: Evaluator
    row: Row


def lacks_rows(work: Work, real: RealGroup, done: Collection[str]) -> bool:
    """Whether a row of the group's real images is not among the keys that exist."""
    return bool(_missing(work, real, done))


def real_entries(real: RealGroup, done: Collection[str]) -> list[Entry]:
    """The missing rows of a group's real images.

    Each image against itself (doing nothing: only failures move it), and, where a protocol stores JPEG, before it
    against after it.
    """
    missing = _missing(real.work, real, done)
    lossless = {evaluator.protocol: _lossless(real, evaluator, missing) for evaluator in real.work.evaluators}
    return [_entry(real, item, lossless[item.evaluator.protocol]) for item in missing]


def _missing(work: Work, real: RealGroup, done: Collection[str]) -> list[_Missing]:
    return [
        _Missing(index, evaluator, row)
        for index in real.indices
        for evaluator in work.evaluators
        for row in work.real_rows(index, evaluator)
        if row.key not in done
    ]


def _lossless(real: RealGroup, evaluator: Evaluator, missing: list[_Missing]) -> Seen:
    """What is seen in images before JPEG, where their rows are missing."""
    asked = [item.index for item in missing if item.evaluator is evaluator and item.row.method == REAL_JPEG]
    images = {index: real.lossless[evaluator.protocol][index] for index in asked if index in real.images}
    return extract(evaluator, images, real.work.group)


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
