"""One method on one group of images: invert once, edit many, score; where that fails, image by image."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from bench.core.contract import (
    CameraDataset,
    CameraMethod,
    EditPass,
    Inversion,
    Method,
    SharesEncoder,
    input_filter_of,
    listen,
)
from bench.core.errors import ImageError
from bench.core.evaluator import Evaluator
from bench.core.observer import Output
from bench.edits.change import Change, change_of, kind_of
from bench.plan.work import MethodSpec, Work
from bench.run.beside import Beside
from bench.run.input import to_input
from bench.run.real_images import RealGroup
from bench.run.rows import Entry, extract, failed, reason, scored_row, stop_if_hopeless
from bench.run.sample_images import SampleImages
from bench.run.steps import StepTicker
from bench.timing.clock import StageClock

# Images being rounded and stored: uint8 (H, W, 3) as made and (h, w, 3) as stored, by protocol and index.
Keeping = Mapping[tuple[str, int], "Future[tuple[np.ndarray, np.ndarray]]"]
# Takes finished rows, and whose they are.
Append = Callable[[Sequence[Entry], str], None]


@dataclass(frozen=True, eq=False)
class Task:
    """One generated image to make: image index, pass, and the protocols that lack it."""

    index: int
    edit: EditPass
    evaluators: tuple[Evaluator, ...]


@dataclass(frozen=True)
class Loaded:
    """A method ready to run, as the plan knows it, and the clock of its stages."""

    spec: MethodSpec
    method: Method
    clock: StageClock


@dataclass(frozen=True)
class Feed:
    """What a method is fed: the data set's images ("original") or those that a protocol stores (its name)."""

    source: str
    images: dict[int, np.ndarray]


@dataclass(frozen=True)
class EncoderKey:
    """What a shared encoder saw: equal keys give equal results. `resized` is the filter, "" where none was needed."""

    encoder: str
    size: tuple[int, int]
    resized: str
    group: int
    source: str


# Image, where it comes from, size and filter of the method.
_InputKey = tuple[int, str, tuple[int, ...], str]


class GroupRunner:
    """Makes the missing rows of methods on groups; keeps what several methods' encoder gives.

    Args:
        append: Called with the rows of each call of a network, as they are made.
        say: Called with a line on how far a long optimisation is.
        beside: The threads that score, and prepare what comes next.
        share: Keep what encoders give: worth its memory where another method may take it.
    """

    def __init__(
        self,
        work: Work,
        samples: SampleImages,
        append: Append,
        say: Callable[[str], None],
        beside: Beside,
        *,
        share: bool,
    ) -> None:
        self.work, self.samples, self.append, self.say, self.share = work, samples, append, say, share
        self.beside = beside
        self._encoded: dict[EncoderKey, object] = {}
        self._prepared: dict[_InputKey, Future[Tensor]] = {}

    def refuse_unusable(self, spec: MethodSpec, real: RealGroup, tasks: Sequence[Task]) -> list[Task]:
        """Append failed rows for tasks whose input cannot be used; returns the others."""
        unusable = [task for task in tasks if task.index in real.problems]
        self.append([e for task in unusable for e in self._failures(spec, task, real.problems[task.index])], "")
        return [task for task in tasks if task.index not in real.problems]

    def make(self, loaded: Loaded, real: RealGroup, tasks: Sequence[Task]) -> None:
        """Make a method's missing rows of one group, fed as each protocol says."""
        for feed, evaluators in self._feeds(real):
            own = _only(tasks, evaluators)
            if own:
                self._process(loaded, real, own, feed)

    def prepare(self, loaded: Loaded, real: RealGroup) -> None:
        """Begin to make a method's inputs of a group."""
        for feed, _ in self._feeds(real):
            for index in feed.images:
                self._prepare(loaded.method, index, feed)

    def _prepare(self, method: Method, index: int, feed: Feed) -> _InputKey:
        key = (index, feed.source, tuple(method.input_size), input_filter_of(method))
        if key not in self._prepared:
            self._prepared[key] = self.beside.start(partial(to_input, feed.images[index], method))
        return key

    def _feeds(self, real: RealGroup) -> Iterator[tuple[Feed, tuple[Evaluator, ...]]]:
        original = tuple(item for item in real.work.evaluators if item.input_source == "original")
        if original:
            yield Feed("original", real.images), original
        for evaluator in real.work.evaluators:
            if evaluator.input_source == "stored":
                yield Feed(evaluator.protocol, real.stored[evaluator.protocol]), (evaluator,)

    def _process(self, loaded: Loaded, real: RealGroup, tasks: list[Task], feed: Feed) -> None:
        """Invert the group once and make the tasks from it; where that fails, each image alone."""
        left = tasks
        try:
            with listen(stages=loaded.clock, steps=StepTicker(self.say, loaded.spec.name)):
                inversion = self._invert(loaded.method, real.number, feed)
            for change, lane in self._lanes(tasks, inversion):
                announced: dict[str, Tensor] = {}
                with listen(stages=loaded.clock, values=announced.__setitem__):
                    images = change.apply(loaded.method, inversion).float()
                kept = self._keep(real, lane, images)
                self.beside.score(partial(self._score_each, loaded.spec, real, lane, kept, announced))
                left = [task for task in left if task not in lane]
        except Exception as error:
            stop_if_hopeless(error)
            if len(feed.images) == 1:
                self.append([e for task in left for e in self._failures(loaded.spec, task, reason(error))], "")
                return
            alone = GroupRunner(self.work, self.samples, self.append, self.say, self.beside, share=False)
            for index in sorted({task.index for task in left}):
                own = [task for task in left if task.index == index]
                alone._process(loaded, real, own, Feed(feed.source, {index: feed.images[index]}))

    def _invert(self, method: Method, group: int, feed: Feed) -> Inversion:
        """The inversion of a whole group, float32 (group, 3, h, w) in; places without an image hold zeros.

        Methods over one encoder run it once: they name it and take its result. Fed by another filter, or at another
        size, it sees other images.
        """
        images = torch.zeros(self.work.group, 3, *method.input_size)
        for index in feed.images:
            images[index % self.work.group] = self._prepared.pop(self._prepare(method, index, feed)).result()
        images = images.to(self.work.device)
        if isinstance(method, CameraMethod):
            return method.invert_seen(images, self._cameras(feed, images))
        if not (self.share and isinstance(method, SharesEncoder) and method.base_digest):
            return method.invert(images)
        resized = any(image.shape[:2] != tuple(method.input_size) for image in feed.images.values())
        name = input_filter_of(method) if resized else ""
        key = EncoderKey(method.base_digest, method.input_size, name, group, feed.source)
        if key not in self._encoded:
            self._encoded[key] = method.invert_base(images)
        return method.invert_from(images, self._encoded[key])

    def _cameras(self, feed: Feed, images: Tensor) -> Tensor:
        """The cameras (group, 25) of the images; places without one get any of them."""
        dataset = self.work.dataset
        if not isinstance(dataset, CameraDataset):
            raise ImageError(f"{dataset.name} does not say from where its images were taken")
        found = {index: torch.from_numpy(dataset.camera(self.work.images[index])) for index in feed.images}
        cameras = next(iter(found.values())).repeat(len(images), 1)
        for index, camera in found.items():
            cameras[index % self.work.group] = camera
        return cameras.to(images)

    def _lanes(self, tasks: Sequence[Task], inversion: Inversion) -> Iterator[tuple[Change, list[Task]]]:
        """Calls of `edit`: the reconstructions, then each place's edits, one of every place and of one kind a call."""
        plain = [task for task in tasks if task.edit.direction is None]
        if plain:
            yield Change(), plain
        kinds: dict[str, dict[int, list[Task]]] = {}
        for task in tasks:
            if task.edit.direction is not None:
                queues = kinds.setdefault(kind_of(task.edit.direction), {})
                queues.setdefault(self._place(task), []).append(task)
        for queues in kinds.values():
            while any(queues.values()):
                lane = [queue.pop(0) for queue in queues.values() if queue]
                yield change_of({self._place(task): task.edit for task in lane}, inversion), lane

    def _keep(self, real: RealGroup, lane: Sequence[Task], images: Tensor) -> Keeping:
        """Begin to round and store what one call made, float32 (group, 3, H, W), as each protocol does."""
        return {
            (evaluator.protocol, task.index): self.beside.start(partial(_kept, evaluator, images[self._place(task)]))
            for evaluator in real.work.evaluators
            for task in lane
            if evaluator in task.evaluators
        }

    def _score_each(
        self, spec: MethodSpec, real: RealGroup, lane: Sequence[Task], kept: Keeping, announced: dict[str, Tensor]
    ) -> None:
        """Score what one call made; where that fails as a whole, each image alone."""
        try:
            self._score(spec, real, lane, kept, announced)
        except Exception as error:
            stop_if_hopeless(error)
            if len(lane) == 1:
                self.append(self._failures(spec, lane[0], reason(error)), "")
                return
            for task in lane:
                self._score_each(spec, real, [task], kept, announced)

    def _score(
        self, spec: MethodSpec, real: RealGroup, lane: Sequence[Task], kept: Keeping, announced: dict[str, Tensor]
    ) -> None:
        """Look at and compare what one call made; append the rows."""
        entries: list[Entry] = []
        for evaluator in real.work.evaluators:
            asked = {task.index: task for task in lane if evaluator in task.evaluators}
            made: dict[int, np.ndarray] = {}
            stored: dict[int, np.ndarray] = {}
            broken: dict[int, str] = {}
            for index in asked:
                try:
                    made[index], stored[index] = kept[evaluator.protocol, index].result()
                except ImageError as error:
                    broken[index] = reason(error)
            seen = extract(evaluator, stored, self.work.group)
            originals = [real.seen[evaluator.protocol].features[index] for index in seen.features]
            scored = dict(zip(seen.features, evaluator.compare(list(seen.features.values()), originals), strict=True))
            outputs = {index: self._output(asked[index], real, made[index], announced) for index in scored}
            observed = real.truth.observe(evaluator, outputs, seen.features)
            for index, task in asked.items():
                row = self.work.row(index, spec, task.edit, evaluator)
                if why := broken.get(index) or seen.problems.get(index):
                    entries.append(failed(row, why))
                    continue
                entries.append(scored_row(row, scored[index], observed[index]))
                if evaluator is real.work.evaluators[0]:
                    self.samples.edited(index, spec.name, task.edit, stored[index], outputs[index].announced)
        self.append(entries, spec.name)

    def _place(self, task: Task) -> int:
        return task.index % self.work.group

    def _output(self, task: Task, real: RealGroup, made: np.ndarray, announced: Mapping[str, Tensor]) -> Output:
        """What observers are shown of an image, with what the method announced of it."""
        place = self._place(task)
        own = {name: value[place].float().cpu().numpy() for name, value in announced.items() if len(value) > place}
        return Output(self.work.images[task.index], real.images[task.index], task.edit, made, own)

    def _failures(self, spec: MethodSpec, task: Task, why: str) -> list[Entry]:
        return [failed(self.work.row(task.index, spec, task.edit, item), why) for item in task.evaluators]


def _kept(evaluator: Evaluator, image: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """A generated image (3, H, W) as bytes, and as the protocol stores it. Raises ImageError for NaN or infinity."""
    (made,) = evaluator.to_uint8(image[None])
    return made, evaluator.store(made)


def _only(tasks: Sequence[Task], evaluators: Sequence[Evaluator]) -> list[Task]:
    """The tasks with only these evaluators; those that none of them lacks are left out."""
    cut = [Task(task.index, task.edit, tuple(e for e in task.evaluators if e in evaluators)) for task in tasks]
    return [task for task in cut if task.evaluators]
