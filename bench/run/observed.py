"""What observers add to the rows of one group: their own values, and the protocol's pair metrics against the true
edits."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeVar

import numpy as np

from bench.core.contract import EditPass
from bench.core.evaluator import Evaluator, Features
from bench.core.observer import Observation, Output
from bench.plan.work import Work, edit_digest
from bench.run.rows import Seen, extract

T = TypeVar("T")

# Column prefix of the metrics against the edit that was asked for, and against the one at the change achieved.
ASKED, ACHIEVED = "asked", "truth"


# What observers say of one image: values and failures by metric.
Said = tuple[dict[str, float], dict[str, str]]


class GroupTruth:
    """The true edits of a group's images, drawn and described once for all methods.

    Every call sees a whole group, an image always at its own place, as everywhere in the engine.
    """

    def __init__(self, work: Work) -> None:
        self.work = work
        self._drawn: dict[tuple[int, str, float], np.ndarray | None] = {}
        self._seen: dict[tuple[str, int, str, float], Features] = {}

    def asked(self, edits: Mapping[int, EditPass]) -> dict[int, np.ndarray]:
        """The asked true edits of images by index, where there are any: uint8 (H, W, 3)."""
        new = {index: edit for index, edit in edits.items() if _key(index, edit) not in self._drawn}
        if new:
            self._drawn.update({_key(index, edit): None for index, edit in new.items()})
            asked = self._placed({index: (self.work.images[index], edit) for index, edit in new.items()})
            for observer in self.work.observers:
                truths = observer.asked(asked)
                for index, edit in new.items():
                    if (found := truths[index % self.work.group]) is not None:
                        self._drawn[_key(index, edit)] = found
        drawn = {index: self._drawn[_key(index, edit)] for index, edit in edits.items()}
        return {index: pixels for index, pixels in drawn.items() if pixels is not None}

    def observe(
        self,
        evaluator: Evaluator,
        outputs: Mapping[int, Output],
        seen: Mapping[int, Features],
        against: Collection[str] = (ASKED, ACHIEVED),
    ) -> dict[int, Observation]:
        """Everything observers say of outputs by index, with the columns against the true edits.

        Args:
            seen: What the evaluator saw in the outputs.
            against: Which true edits they are compared with.
        """
        if not self.work.observers:
            return {index: Observation() for index in outputs}
        said: dict[int, Said] = {index: ({}, {}) for index in outputs}
        for observer in self.work.observers:
            found = observer.observe(self._placed(outputs))
            own = {index: found[index % self.work.group] for index in outputs}
            for index, observation in own.items():
                said[index][0].update(observation.values)
                said[index][1].update(observation.failures)
            if ACHIEVED in against:
                truths = {index: evaluator.store(each.truth) for index, each in own.items() if each.truth is not None}
                self._score(evaluator, ACHIEVED, seen, extract(evaluator, truths, self.work.group), said)
        if ASKED in against:
            truth = self.asked_seen(evaluator, {index: output.edit for index, output in outputs.items()})
            self._score(evaluator, ASKED, seen, truth, said)
        return {index: Observation(values, failures) for index, (values, failures) in said.items()}

    def asked_seen(self, evaluator: Evaluator, edits: Mapping[int, EditPass]) -> Seen:
        """What the evaluator sees in the asked edits of images by index: looked at once for all methods."""
        keys = {index: (evaluator.protocol, *_key(index, edits[index])) for index in edits}
        drawn = self.asked({index: edit for index, edit in edits.items() if keys[index] not in self._seen})
        new = extract(evaluator, {index: evaluator.store(image) for index, image in drawn.items()}, self.work.group)
        self._seen.update({keys[index]: features for index, features in new.features.items()})
        return Seen({index: self._seen[key] for index, key in keys.items() if key in self._seen}, new.problems)

    def _score(
        self, evaluator: Evaluator, prefix: str, outputs: Mapping[int, Features], truths: Seen, said: dict[int, Said]
    ) -> None:
        """Add the pair metrics between outputs and their truths, as far as those could be looked at."""
        scored = evaluator.compare([outputs[index] for index in truths.features], list(truths.features.values()))
        for index, each in zip(truths.features, scored, strict=True):
            said[index][0].update({f"{prefix}_{metric}": value for metric, value in each.values.items()})
            said[index][1].update({f"{prefix}_{metric}": why for metric, why in each.failures.items()})
        for index, why in truths.problems.items():
            said[index][1].update({f"{prefix}_{metric}": why for metric in evaluator.pair_metrics})

    def _placed(self, found: Mapping[int, T]) -> list[T | None]:
        """By place in the group, None where nothing is."""
        places = {index % self.work.group: item for index, item in found.items()}
        return [places.get(place) for place in range(self.work.group)]


def _key(index: int, edit: EditPass) -> tuple[int, str, float]:
    return index, edit_digest(edit), edit.asked_strength
