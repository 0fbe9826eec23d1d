"""The loop: read and describe each real image once, invert once, edit many, judge, store.

Numbers must not depend on what was asked beside them. So every network call sees a whole group: image i always sits
at place i % group in a batch of exactly that many, whatever the limit, the rank or what was done before a kill; places
without an image to do hold zeros. Different edits share a call, each place with its own latent change.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.core.contract import EditPass, Evaluator, Inversion, Method, listen
from bench.plan.work import MethodSpec, Work
from bench.results.store import REAL_JPEG, Row, ShardWriter
from bench.run.input import to_input
from bench.run.rows import describe, failed, finite, reason, scored_row, stop_if_hopeless
from bench.run.sample_images import SampleImages
from bench.run.shard import Shard
from bench.timing.clock import StageClock, synchroniser

Progress = Callable[[int, str], None]
# Descriptions of images by index, and why others have none.
Seen = tuple[dict[int, Any], dict[int, str]]


@dataclass
class RealGroup:
    """The real images of one group: pixels, and per protocol how they are stored and what was seen in them."""

    number: int
    indices: range
    pixels: dict[int, np.ndarray] = field(default_factory=dict)
    problems: dict[int, str] = field(default_factory=dict)
    stored: dict[str, dict[int, np.ndarray]] = field(default_factory=dict)
    described: dict[str, dict[int, Any]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Task:
    """One generated image to make: image index, pass, and the protocols that lack it."""

    index: int
    edit: EditPass
    evaluators: tuple[Evaluator, ...]


class Engine:
    """Runs a `Work` into a shard's writer.

    Args:
        done: Keys that exist in any shard; they are not made again.
        progress: Called with a number of finished rows and what is being done.
    """

    def __init__(
        self, work: Work, writer: ShardWriter, done: set[str], shard: Shard, samples: SampleImages, progress: Progress
    ) -> None:
        self.work, self.writer, self.done, self.shard = work, writer, done, shard
        self.samples, self.progress = samples, progress
        self.clocks: dict[str, StageClock] = {}
        self.made: dict[str, int] = {}
        self.spent: dict[str, float] = {}
        self._loaded: dict[str, Method] = {}
        # What a method's encoder gives is only kept where another method may take it.
        self._may_share = len(work.specs) > 1
        self._members = {edit.inputs: work.members(edit) for c in work.specs for edit in c.passes}

    def run(self) -> None:
        """Make every missing row of this shard. Raises MissingError when the disk or the memory is full."""
        _be_reproducible(self.work.seed)
        with torch.inference_mode():
            for groups in self._chunks():
                reals = {group: self._real_group(group) for group in groups}
                bases: dict[Any, Any] = {}
                for spec in self.work.specs:
                    tasks = {group: self._missing(spec, real) for group, real in reals.items()}
                    if any(tasks.values()):
                        began = time.perf_counter()
                        for group, missing in tasks.items():
                            self._contest(spec, reals[group], missing, bases)
                        self.spent[spec.name] = self.spent.get(spec.name, 0.0) + time.perf_counter() - began
                self.writer.sync()

    def _chunks(self) -> Iterator[list[int]]:
        """This shard's groups that lack something, as many at a time as `batch` allows."""
        size = max(1, self.work.batch // self.work.group)
        chunk: list[int] = []
        for group in range(self.work.groups):
            if self.shard.owns(group) and self._lacks(group):
                chunk.append(group)
                if len(chunk) == size:
                    yield chunk
                    chunk = []
        if chunk:
            yield chunk

    def _indices(self, group: int) -> range:
        first = group * self.work.group
        return range(first, min(first + self.work.group, len(self.work.images)))

    def _lacks(self, group: int) -> bool:
        real = RealGroup(group, self._indices(group))
        return any(self._real_rows(real)) or any(self._missing(c, real) for c in self.work.specs)

    def _missing(self, spec: MethodSpec, real: RealGroup) -> list[Task]:
        tasks = []
        for edit in spec.passes:
            for index in real.indices:
                if index in self._members[edit.inputs]:
                    rows = (
                        (evaluator, self.work.row(index, spec, edit, evaluator)) for evaluator in self.work.evaluators
                    )
                    evaluators = tuple(evaluator for evaluator, row in rows if row.key not in self.done)
                    if evaluators:
                        tasks.append(Task(index, edit, evaluators))
        return tasks

    # --- real images

    def _real_rows(self, real: RealGroup) -> list[tuple[int, Evaluator, Row]]:
        evaluators = self.work.evaluators
        rows = [
            (i, evaluator, row)
            for i in real.indices
            for evaluator in evaluators
            for row in self.work.real_rows(i, evaluator)
        ]
        return [item for item in rows if item[2].key not in self.done]

    def _real_group(self, number: int) -> RealGroup:
        """Read, store and describe a group of real images; append their rows."""
        real = RealGroup(number, self._indices(number))
        self.progress(0, "reading")
        for index in real.indices:
            try:
                real.pixels[index] = self.work.dataset.read(self.work.images[index])
            except Exception as error:
                real.problems[index] = f"input: {reason(error)}"
        for evaluator in self.work.evaluators:
            name = evaluator.protocol
            real.stored[name] = {index: evaluator.store(pixels) for index, pixels in real.pixels.items()}
            seen, problems = describe(evaluator, real.stored[name], self.work.group)
            real.described[name] = seen
            real.problems.update({index: f"input: {why}" for index, why in problems.items()})
        for index, stored in real.stored[self.work.evaluators[0].protocol].items():
            self.samples.real(index, stored)
        missing = self._real_rows(real)
        lossless = self._lossless(real, missing)
        self._append([self._real_row(real, lossless, *item) for item in missing], "real")
        return real

    def _lossless(self, real: RealGroup, missing: Sequence[tuple[int, Evaluator, Row]]) -> dict[str, Seen]:
        """Per protocol that stores JPEG: descriptions of the images before it, where their rows are missing."""
        found: dict[str, Seen] = {}
        for evaluator in self.work.evaluators:
            asked = [i for i, own, row in missing if own is evaluator and row.method == REAL_JPEG and i in real.pixels]
            plain = {index: evaluator.store_lossless(real.pixels[index]) for index in asked}
            found[evaluator.protocol] = describe(evaluator, plain, self.work.group)
        return found

    def _real_row(
        self, real: RealGroup, lossless: dict[str, Seen], index: int, evaluator: Evaluator, row: Row
    ) -> tuple[Row, dict[str, np.ndarray]]:
        """A real image against itself (doing nothing: only failures move it), or before JPEG against after it."""
        if index in real.problems:
            return failed(row, real.problems[index]), {}
        stored = seen = real.described[evaluator.protocol][index]
        if row.method == REAL_JPEG:
            descriptions, problems = lossless[evaluator.protocol]
            if index in problems:
                return failed(row, problems[index]), {}
            seen = descriptions[index]
        return scored_row(row, evaluator.score(seen, stored), ({}, {}, None))

    # --- methods

    def _contest(self, spec: MethodSpec, real: RealGroup, tasks: list[Task], bases: dict[Any, Any]) -> None:
        """Make a method's missing rows of one group."""
        unusable = [task for task in tasks if task.index in real.problems]
        self._append([e for task in unusable for e in self._failures(spec, task, real.problems[task.index])], "")
        tasks = [task for task in tasks if task.index not in real.problems]
        for source in sorted({self.work.inputs[evaluator.protocol] for task in tasks for evaluator in task.evaluators}):
            if source == "original":
                self._process(spec, real, _only(tasks, self._fed(source)), real.pixels, ("original", bases))
                continue
            for evaluator in self._fed(source):
                pixels = real.stored[evaluator.protocol]
                self._process(spec, real, _only(tasks, (evaluator,)), pixels, (evaluator.protocol, bases))

    def _fed(self, source: str) -> tuple[Evaluator, ...]:
        return tuple(evaluator for evaluator in self.work.evaluators if self.work.inputs[evaluator.protocol] == source)

    def _process(
        self,
        spec: MethodSpec,
        real: RealGroup,
        tasks: list[Task],
        pixels: dict[int, np.ndarray],
        shared: tuple[str, dict[Any, Any]],
    ) -> None:
        """Invert the group once and make the tasks from it; where that fails, image by image."""
        if not tasks:
            return
        method = self._load(spec)
        wanted = sorted({task.index for task in tasks})
        try:
            clock = self.clocks[spec.name]
            with listen(stages=clock):
                inversion = self._invert(method, {i: pixels[i] for i in real.pixels}, (real.number, *shared))
            for delta, lane in self._lanes(tasks, inversion):
                announced: dict[str, Tensor] = {}
                with listen(stages=clock, values=announced.__setitem__):
                    images = method.edit(inversion, delta).float().cpu()
                self._evaluate(spec, real, lane, images, announced)
                tasks = [task for task in tasks if task not in lane]
        except Exception as error:
            stop_if_hopeless(error)
            if len(wanted) == 1 and len(real.pixels) == 1:
                self._append([e for task in tasks for e in self._failures(spec, task, reason(error))], "")
                return
            for index in wanted:
                alone = RealGroup(
                    real.number, real.indices, {index: real.pixels[index]}, {}, real.stored, real.described
                )
                own = [task for task in tasks if task.index == index]
                self._process(spec, alone, own, pixels, (shared[0], {}))

    def _invert(
        self, method: Method, pixels: dict[int, np.ndarray], where: tuple[int, str, dict[Any, Any]]
    ) -> Inversion:
        number, source, bases = where
        height, width = method.input_size
        images = torch.zeros(self.work.group, 3, height, width)
        for index, image in pixels.items():
            images[index % self.work.group] = to_input(image, method)
        images = images.to(self.work.device)
        # Methods over one base encoder run it once: they name it by `base_digest` and take its result. Fed by another
        # filter, or at another size, it sees other images.
        sharing: Any = method
        base = getattr(sharing, "base_digest", None) if self._may_share else None
        if base is None:
            return method.invert(images)
        resized = {index for index, image in pixels.items() if image.shape[:2] != (height, width)}
        fed = (height, width, getattr(sharing, "input_filter", "bilinear") if resized else "")
        key = (base, fed, number, source)
        if key not in bases:
            bases[key] = sharing.invert_base(images)
        inversion: Inversion = sharing.invert_from(images, bases[key])
        return inversion

    def _lanes(self, tasks: list[Task], inversion: Inversion) -> Iterator[tuple[Tensor | None, list[Task]]]:
        """Calls of `edit`: the reconstructions, then each place's edits, one of every place a call."""
        plain = [task for task in tasks if task.edit.direction is None]
        if plain:
            yield None, plain
        queues: dict[int, list[Task]] = {}
        for task in tasks:
            if task.edit.direction is not None:
                queues.setdefault(task.index % self.work.group, []).append(task)
        while queues:
            lane = [queue.pop(0) for queue in queues.values()]
            queues = {place: queue for place, queue in queues.items() if queue}
            delta = torch.zeros_like(inversion.codes)
            for task in lane:
                place = task.index % self.work.group
                assert task.edit.direction is not None
                delta[place] = task.edit.direction.delta(inversion.codes[place : place + 1], task.edit.strength)[0]
            yield delta, lane

    def _evaluate(
        self,
        spec: MethodSpec,
        real: RealGroup,
        lane: Sequence[Task],
        images: Tensor,
        announced: dict[str, Tensor],
    ) -> None:
        """Store, describe and score what one call made; append the rows."""
        entries: list[tuple[Row, dict[str, np.ndarray]]] = []
        broken = {
            task.index: "the output has NaN or infinite values"
            for task in lane
            if not finite(images, self._place(task))
        }
        for evaluator in self.work.evaluators:
            asked = [task for task in lane if evaluator in task.evaluators]
            good = [task for task in asked if task.index not in broken]
            pixels = {task.index: evaluator.to_uint8(images[self._place(task)]) for task in good}
            stored = {index: evaluator.store(image) for index, image in pixels.items()}
            seen, problems = describe(evaluator, stored, self.work.group)
            for task in asked:
                row = self.work.row(task.index, spec, task.edit, evaluator)
                why = broken.get(task.index) or problems.get(task.index)
                if why:
                    entries.append((failed(row, why), {}))
                    continue
                scored = evaluator.score(seen[task.index], real.described[evaluator.protocol][task.index])
                values = self._values(task, pixels[task.index], announced)
                entries.append(scored_row(row, scored, values))
                if evaluator is self.work.evaluators[0]:
                    own = values[2]
                    self.samples.edited(task.index, spec.name, task.edit, stored[task.index], own)
        self._append(entries, spec.name)

    def _place(self, task: Task) -> int:
        return task.index % self.work.group

    def _values(
        self, task: Task, pixels: np.ndarray, announced: dict[str, Tensor]
    ) -> tuple[dict[str, float], dict[str, str], dict[str, np.ndarray]]:
        """What the observers say, and what the method announced of this image."""
        place = self._place(task)
        own = {name: value[place].float().cpu().numpy() for name, value in announced.items() if len(value) > place}
        values: dict[str, float] = {}
        failures: dict[str, str] = {}
        for observer in self.work.observers:
            said = observer.observe(self.work.images[task.index], task.edit, pixels, own)
            values.update(said.values)
            failures.update(said.failures)
        return values, failures, own

    def _failures(self, spec: MethodSpec, task: Task, why: str) -> list[tuple[Row, dict[str, np.ndarray]]]:
        rows = (self.work.row(task.index, spec, task.edit, evaluator) for evaluator in task.evaluators)
        return [(failed(row, why), {}) for row in rows]

    def _append(self, entries: Sequence[tuple[Row, dict[str, np.ndarray]]], what: str) -> None:
        self.writer.append(entries)
        self.done.update(row.key for row, _ in entries)
        self.made[what] = self.made.get(what, 0) + len(entries)
        self.progress(len(entries), what)

    def _load(self, spec: MethodSpec) -> Method:
        """The loaded method; the ones used longest ago make room where only so many may stay."""
        if spec.name not in self._loaded:
            most = self.work.loaded_methods
            while most and len(self._loaded) >= most:
                del self._loaded[next(iter(self._loaded))]
                gc.collect()
            self.progress(0, f"loading {spec.name}")
            self._loaded[spec.name] = spec.load()
            self.clocks.setdefault(spec.name, StageClock(synchroniser(self.work.device)))
        method = self._loaded.pop(spec.name)
        self._loaded[spec.name] = method
        return method


def _only(tasks: Sequence[Task], evaluators: Sequence[Evaluator]) -> list[Task]:
    """The tasks with only these judges; those that none of them lacks are left out."""
    cut = [
        Task(task.index, task.edit, tuple(evaluator for evaluator in task.evaluators if evaluator in evaluators))
        for task in tasks
    ]
    return [task for task in cut if task.evaluators]


def _be_reproducible(seed: int) -> None:
    torch.manual_seed(seed)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
