"""The schedule: which groups lack something, read them, give each method its missing tasks, keep the rows.

Numbers must not depend on what was asked beside them. So every network call sees a whole group: image i always sits
at place i % group in a batch of exactly that many, whatever the limit, the rank or what was done before a kill; places
without an image to do hold zeros. Different edits share a call, each place with its own latent change. The work on one
group is in `bench.run.group`. Real images are read, stored and looked at while the network makes the groups before.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from itertools import islice

import torch

from bench.core.evaluator import Evaluator
from bench.plan.work import MethodSpec, Work
from bench.results.row import Row
from bench.results.store import ShardWriter
from bench.run.beside import Beside, ahead
from bench.run.group import GroupRunner, Loaded, Task
from bench.run.known import Known
from bench.run.real_images import RealGroup, group_of, lacks_rows, look_at, real_entries, start_reading
from bench.run.references import lacks_references, reference_entries
from bench.run.rows import Entry
from bench.run.sample_images import SampleImages
from bench.run.shard import Shard
from bench.timing.clock import StageClock, synchroniser
from bench.timing.profile import LOADING, READING, SCORING, Phases

Progress = Callable[[int, str], None]
# Groups of real images that are read, and looked at, before it is their turn.
_READ_AHEAD, _LOOKED_AHEAD = 3, 2


class Engine:
    """Runs a `Work` into a shard's writer.

    Args:
        done: Keys that exist in any shard; they are not made again.
        progress: Called with a number of finished rows and what is being done.
        known: What need not be measured again of rows that are missing.
    """

    def __init__(
        self,
        work: Work,
        writer: ShardWriter,
        done: set[str],
        shard: Shard,
        samples: SampleImages,
        progress: Progress,
        known: Known | None = None,
    ) -> None:
        self.known = known or Known()
        self.work, self.writer, self.done, self.shard = work, writer, done, shard
        self.samples, self.progress = samples, progress
        self.clocks: dict[str, StageClock] = {}
        self.made: dict[str, int] = {}
        self.spent = Phases()
        self.phases = Phases()
        self._loaded: dict[str, Loaded] = {}
        # Rows come from the thread that scores and from this one.
        self._turn = threading.Lock()
        self._members = {edit.inputs: work.members(edit) for spec in work.specs for edit in spec.passes}

    def run(self) -> None:
        """Make every missing row of this shard. Raises MissingError when the disk or the memory is full."""
        began = time.perf_counter()
        try:
            self._run()
        finally:
            self.phases.whole += time.perf_counter() - began

    def _run(self) -> None:
        _be_reproducible(self.work.seed)
        chunks, specs = list(self._chunks()), self.work.specs
        with torch.inference_mode(), Beside() as beside:
            reads = ahead(self._reads(chunks, beside), lambda real: real, _READ_AHEAD)
            looks = ahead(reads, partial(self._start_looking, beside), _LOOKED_AHEAD)
            for numbers in chunks:
                groups = _Again(map(self._looked, islice(looks, len(numbers))))
                runner = GroupRunner(self.work, self.samples, self._append, self._say, beside, share=len(specs) > 1)
                for spec in specs:
                    self._make(spec, groups, runner)
                groups.finish()
                self.writer.sync()
            self.phases.seconds[SCORING] = beside.waited

    def _chunks(self) -> Iterator[list[int]]:
        """This shard's groups that lack something, as many at a time as `batch` allows."""
        size = max(1, self.work.batch // self.work.group)
        chunk: list[int] = []
        for number in range(self.work.groups):
            if self.shard.owns(number) and self._lacks(number):
                chunk.append(number)
                if len(chunk) == size:
                    yield chunk
                    chunk = []
        if chunk:
            yield chunk

    def _lacks(self, number: int) -> bool:
        real = group_of(self.work, number)
        if lacks_rows(self.work, real, self.done) or lacks_references(self.work, real, self.done):
            return True
        return any(self._missing(spec, real) for spec in self.work.specs)

    def _missing_rows(self, numbers: Sequence[int]) -> Iterator[tuple[Row, Evaluator]]:
        """The missing rows of groups, empty, each with its protocol's evaluator."""
        for index in (index for number in numbers for index in group_of(self.work, number).indices):
            for evaluator in self.work.evaluators:
                rows = self.work.real_rows(index, evaluator)
                for edit in self.work.reference_passes:
                    if index in self._members[edit.inputs]:
                        rows += self.work.reference_rows(index, edit, evaluator)
                for spec in self.work.specs:
                    own = (edit for edit in spec.passes if index in self._members[edit.inputs])
                    rows += [self.work.row(index, spec, edit, evaluator) for edit in own]
                yield from ((row, evaluator) for row in rows if row.key not in self.done)

    def _missing(self, spec: MethodSpec, real: RealGroup) -> list[Task]:
        """A method's tasks in a group that some protocol lacks."""
        tasks = []
        for edit in spec.passes:
            for index in real.indices:
                if index in self._members[edit.inputs]:
                    rows = ((item, real.work.row(index, spec, edit, item)) for item in real.work.evaluators)
                    evaluators = tuple(item for item, row in rows if row.key not in self.done)
                    tasks += [Task(index, edit, evaluators)] if evaluators else []
        return tasks

    def _reads(self, chunks: Iterable[Sequence[int]], beside: Beside) -> Iterator[RealGroup]:
        """Groups whose images are being read, with evaluators that measure no more than a chunk lacks."""
        for numbers in chunks:
            work = self.known.narrowed(self.work, self._missing_rows(numbers))
            yield from (start_reading(work, number, beside) for number in numbers)

    def _start_looking(self, beside: Beside, real: RealGroup) -> Future[RealGroup]:
        return beside.in_turn(partial(self._look, real))

    def _look(self, real: RealGroup) -> RealGroup:
        """Look at a group's real images; their rows and samples are kept."""
        look_at(real)
        for index, stored in real.stored[real.work.evaluators[0].protocol].items():
            self.samples.real(index, stored)
        self._append(real_entries(real, self.done), "real")
        self._append(reference_entries(real, self.done, self.samples), "real")
        return real

    def _looked(self, look: Future[RealGroup]) -> RealGroup:
        """The group, when it was looked at."""
        if not look.done():
            self._say("reading")
        with self.phases.time(READING):
            return look.result()

    def _make(self, spec: MethodSpec, groups: Iterable[RealGroup], runner: GroupRunner) -> None:
        """A method's missing rows of a chunk; the method is loaded when the first of them needs it."""
        for real, usable in ahead(groups, partial(self._prepare, spec, runner), 1):
            if usable:
                with self.spent.time(spec.name):
                    runner.make(self._load(spec), real, usable)
        with self.spent.time(spec.name):
            runner.beside.finish()

    def _prepare(self, spec: MethodSpec, runner: GroupRunner, real: RealGroup) -> tuple[RealGroup, list[Task]]:
        """A group with a method's missing tasks in it that can be done, whose inputs are being made."""
        usable = runner.refuse_unusable(spec, real, self._missing(spec, real))
        if usable:
            with self.spent.time(spec.name):
                runner.prepare(self._load(spec), real)
        return real, usable

    def _append(self, entries: Sequence[Entry], what: str) -> None:
        with self._turn:
            self.writer.append([self.known.completed(entry) for entry in entries])
            self.done.update(entry.row.key for entry in entries)
            self.made[what] = self.made.get(what, 0) + len(entries)
            self.progress(len(entries), what)

    def _say(self, text: str) -> None:
        with self._turn:
            self.progress(0, text)

    def _load(self, spec: MethodSpec) -> Loaded:
        """The loaded method; the ones used longest ago make room where only so many may stay."""
        if spec.name not in self._loaded:
            most = self.work.loaded_methods
            while most and len(self._loaded) >= most:
                del self._loaded[next(iter(self._loaded))]
                gc.collect()
            self._say(f"loading {spec.name}")
            clock = self.clocks.setdefault(spec.name, StageClock(synchroniser(self.work.device)))
            with self.phases.time(LOADING):
                self._loaded[spec.name] = Loaded(spec, spec.load(), clock)
        self._loaded[spec.name] = self._loaded.pop(spec.name)
        return self._loaded[spec.name]


class _Again:
    """Groups as they come, which may be gone through again."""

    def __init__(self, coming: Iterator[RealGroup]) -> None:
        self._coming, self._came = coming, list[RealGroup]()

    def __iter__(self) -> Iterator[RealGroup]:
        yield from self._came
        for real in self._coming:
            self._came.append(real)
            yield real

    def finish(self) -> None:
        """Wait for those that nobody asked for."""
        self._came.extend(self._coming)


def _be_reproducible(seed: int) -> None:
    torch.manual_seed(seed)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
