"""What a run has to do: method x pass x protocol over its images, what is done, what is missing."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from bench.core.errors import ImageError
from bench.core.subset import belongs, label_of
from bench.results.row import ORIGINAL, REAL, REAL_DIGESTS, REAL_JPEG, TRUTH, Row

if TYPE_CHECKING:
    from bench.core.contract import Dataset, EditPass, ImageRecord, Method
    from bench.core.evaluator import Evaluator
    from bench.core.observer import Observer

NOT_APPLICABLE = "n/a"
# Here, but not what it is given for.
UNUSABLE = "unusable"


@dataclass(frozen=True)
class Missing:
    """Something a run lacks.

    Attributes:
        kind: "methods" (a whole row of the table), "columns" (a `metric@protocol`), "edits" (a direction), "data", or
            "run" (nothing works without it).
        name: Which.
        reason: One sentence.
        command: What gets it; empty when nothing does.
        status: "missing", "unusable" for a file that is here and is another, "not released", or "n/a" for an edit that
            the method does not take.
        files: Registry names of what is not here.
        method: For "edits": the method whose direction it is.
        columns: For an edit that does not apply: its columns in the table.
    """

    kind: Literal["methods", "columns", "edits", "data", "run"]
    name: str
    reason: str
    command: str = ""
    status: str = "missing"
    files: tuple[str, ...] = ()
    method: str = ""
    columns: tuple[str, ...] = ()

    @property
    def blocking(self) -> bool:
        """Whether a run may not start before it is here."""
        return self.kind != "columns" and self.status in ("missing", UNUSABLE)


@dataclass(frozen=True)
class MethodSpec:
    """A method as the plan sees it: known by its digest, not loaded yet.

    Attributes:
        name: Row of the table; a registry name or a variant's.
        digest: SHA-256 over checkpoint files and code; part of every key.
        passes: Its passes, in table order.
        load: Loads it on the run's device.
        title: What tables print; empty for the usual one.
        files: (file name, SHA-256) of its checkpoints.
    """

    name: str
    digest: str
    passes: tuple[EditPass, ...]
    load: Callable[[], Method]
    title: str = ""
    files: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Cell:
    """One method, pass and protocol: how many images it has and how many of them are done."""

    method: str
    pass_name: str
    protocol: str
    images: int
    done: int


@dataclass(frozen=True)
class Work:
    """Everything a run does, ready for the engine.

    Attributes:
        images: In order of evaluation, the limit applied.
        evaluators: One a protocol.
        observers: Further measurements, on data sets that know the truth.
        group: Images a network sees at once; an image's place in its group is fixed by the data set's order.
        batch: Images read and held at a time.
        machine: Its kind, see `bench.core.machine`.
        code: Digest of the code that reads images, feeds methods and keeps what they make.
    """

    dataset: Dataset
    images: tuple[ImageRecord, ...]
    specs: tuple[MethodSpec, ...]
    evaluators: tuple[Evaluator, ...]
    observers: tuple[Observer, ...] = ()
    group: int = 1
    batch: int = 32
    loaded_methods: int = 0
    grid_pictures: int = 6
    device: str = "cpu"
    seed: int = 0
    machine: Mapping[str, str] = field(default_factory=dict)
    code: str = ""

    @cached_property
    def digests(self) -> tuple[str, ...]:
        """Digest of each image; "" for one whose file cannot be read."""
        return tuple(_digest(image) for image in self.images)

    @property
    def groups(self) -> int:
        """How many groups the images make, the last one perhaps not full."""
        return -(-len(self.images) // self.group)

    def members(self, edit: EditPass) -> Collection[int]:
        """Indices of the images that go into a pass."""
        return frozenset(i for i, image in enumerate(self.images) if belongs(image.attributes, edit.inputs))

    def row(self, index: int, spec: MethodSpec, edit: EditPass, evaluator: Evaluator) -> Row:
        """An empty row for image `index`."""
        about = (spec.name, spec.digest, edit.pass_name, edit_digest(edit), float(edit.strength))
        return self._row(index, about, evaluator)

    def real_rows(self, index: int, evaluator: Evaluator) -> list[Row]:
        """Empty rows of the real image `index`: its own, and its JPEG's where the protocol stores one."""
        names = (REAL, REAL_JPEG) if evaluator.lossy else (REAL,)
        return [self._row(index, (name, REAL_DIGESTS[name], ORIGINAL, ORIGINAL, 0.0), evaluator) for name in names]

    @cached_property
    def reference_passes(self) -> tuple[EditPass, ...]:
        """The edits whose truth an observer knows, each once."""
        edits = {edit.pass_name: edit for spec in reversed(self.specs) for edit in reversed(spec.passes)}
        known = [edit for edit in edits.values() if any(observer.knows(edit) for observer in self.observers)]
        return tuple(reversed(known))

    def reference_rows(self, index: int, edit: EditPass, evaluator: Evaluator) -> list[Row]:
        """Empty rows of what is no method: the input as it is, and the true edit, each as if a method had made it."""
        return [
            self._row(
                index,
                (name, REAL_DIGESTS[name], edit.pass_name, edit_digest(edit), float(edit.asked_strength)),
                evaluator,
            )
            for name in (REAL, TRUTH)
        ]

    def _row(self, index: int, about: tuple[str, str, str, str, float], evaluator: Evaluator) -> Row:
        return Row(
            self.images[index].name, self.digests[index], *about, evaluator.protocol, self.protocol_digest(evaluator)
        )

    def protocol_digest(self, evaluator: Evaluator) -> str:
        """Of all that measures: the evaluator's digest, the observers', the code around them, and the conditions."""
        return self._with_conditions(evaluator.digest)

    def column_digests(self, evaluator: Evaluator) -> dict[str, str]:
        """Metric -> the same of what measures it alone."""
        return {metric: self._with_conditions(digest) for metric, digest in evaluator.column_digests.items()}

    def _with_conditions(self, digest: str) -> str:
        parts = [digest, *(item.digest for item in self.observers), self.code]
        parts += [f"{name} {value}" for name, value in sorted(self.conditions.items())]
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()

    def measuring(self, metrics: Mapping[str, Collection[str]]) -> Work:
        """The same work, with evaluators that measure these metrics alone (by protocol); every key stays."""
        evaluators = tuple(evaluator.only(metrics[evaluator.protocol]) for evaluator in self.evaluators)
        narrowed = replace(self, evaluators=evaluators)
        narrowed.__dict__["digests"] = self.digests  # every file was read for them
        return narrowed

    @property
    def conditions(self) -> dict[str, str]:
        """The machine and how it is used, as far as numbers depend on it."""
        return {**self.machine, "group": str(self.group), "seed": str(self.seed)}

    def rows(self) -> Iterator[tuple[int, Row]]:
        """Every row of the finished run, empty, with the image's index."""
        for evaluator in self.evaluators:
            for index in range(len(self.images)):
                yield from ((index, row) for row in self.real_rows(index, evaluator))
            for edit in self.reference_passes:
                for index in sorted(self.members(edit)):
                    yield from ((index, row) for row in self.reference_rows(index, edit, evaluator))
            for spec in self.specs:
                for edit in spec.passes:
                    for index in sorted(self.members(edit)):
                        yield index, self.row(index, spec, edit, evaluator)

    def cells(self, done: Collection[str]) -> list[Cell]:
        """The cells in table order, the real images first; `done` are the keys that exist."""
        planned, there = Counter[tuple[str, str, str]](), Counter[tuple[str, str, str]]()
        for _, row in self.rows():
            cell = (row.method, row.pass_name, row.protocol)
            planned[cell] += 1
            there[cell] += row.key in done
        return [Cell(*cell, count, there[cell]) for cell, count in planned.items()]


def edit_digest(edit: EditPass) -> str:
    """Digest of a pass's direction and of what is asked, where that is not its strength; "reconstruction" for none."""
    if edit.direction is None:
        return "reconstruction"
    if edit.asked is None:
        return edit.direction.digest
    return hashlib.sha256(f"{edit.direction.digest} asked {edit.asked!r}".encode()).hexdigest()


def _digest(image: ImageRecord) -> str:
    try:
        return image.digest
    except ImageError:
        return ""


def subset_labels(passes: Sequence[EditPass]) -> list[str]:
    """Names of the labels that the passes' subsets ask for."""
    return sorted({label_of(expression) for edit in passes for expression in (edit.inputs, edit.reals)} - {""})


def disk_bytes(work: Work, done: Collection[str] = (), feature_size: int = 2048) -> int:
    """About what the missing rows take, in bytes; `done` are the keys that exist."""
    sizes = {
        evaluator.protocol: row_bytes(len(evaluator.feature_metrics), feature_size) for evaluator in work.evaluators
    }
    return sum((cell.images - cell.done) * sizes[cell.protocol] for cell in work.cells(done))


def row_bytes(features: int, feature_size: int = 2048) -> int:
    """A row on disk: a line of text, and the float32 features of each set metric that has its own."""
    return 900 + 4 * feature_size * features
