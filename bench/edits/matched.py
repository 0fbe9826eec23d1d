"""Strengths for equal achieved change: how far a method must be pushed until the attribute has moved as far as
asked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from bench.core.contract import Direction, EditPass, Inversion, Method
from bench.core.errors import UsageError
from bench.edits.change import change_of

Regressor = Callable[[Tensor], Mapping[str, Tensor]]


class Trial(NamedTuple):
    """One measurement: the mean change at a strength."""

    strength: float
    change: float


@dataclass(frozen=True)
class Match:
    """The outcome of a search.

    Attributes:
        strength: The strength to use.
        change: Mean change measured at it.
        reached: Is `change` within the tolerance of the target?
        trials: Every measurement, in order.
    """

    strength: float
    change: float
    reached: bool
    trials: tuple[Trial, ...]


def match_strength(
    measure: Callable[[float], float],
    target: float,
    *,
    start: float,
    limit: float,
    tolerance: float = 0.02,
    max_trials: int = 12,
) -> Match:
    """Find the strength at which the mean change of an attribute is `target`.

    Bracket by doubling from `start`, then false position with the Illinois rule, which keeps the bracket and needs no
    derivative. The change at strength 0 is 0 by definition and is not measured.

    Args:
        measure: strength -> mean change of the attribute over the images, in the attribute's unit. Each call is a
            pass of the generator, so the search is frugal.
        target: Change wanted, not 0; its sign is the attribute's, not the strength's.
        start: First strength tried; its sign says which way to go.
        limit: Largest magnitude of strength to try.
        tolerance: Allowed error, as a share of the target.
        max_trials: Most measurements.

    Returns:
        The best strength found. `reached` is False when the method saturates below the target, or the trials run out.

    Raises UsageError for a target or start of 0, a start beyond the limit, and a measurement that is not finite.
    """
    if target == 0 or start == 0 or abs(start) > limit or tolerance <= 0:
        raise UsageError(f"cannot match a change of {target:g} from strength {start:g} within {limit:g}")
    search = _Search(measure, target, tolerance * abs(target), max_trials)
    low, low_error = 0.0, -abs(target)
    high = start
    high_error = search.error(high)
    while high_error < 0 and search.open and abs(high) < limit:
        low, low_error = high, high_error
        high = math.copysign(min(2 * abs(high), limit), start)
        high_error = search.error(high)
    if high_error >= 0:
        search.close_in(low, low_error, high, high_error)
    return search.best()


class ChangeMeter:
    """How far an edit moves an attribute with one method: the mean difference of edited image and reconstruction.

    Args:
        method: Any method.
        inversions: Batches to measure on; a few dozen images are enough to set a strength.
        regressor: Images (N, 3, H, W) in about [-1, 1] -> attribute name -> (N,).
        attribute: The one measured (a card's `measures`).

    Raises UsageError when the regressor does not measure the attribute.
    """

    def __init__(self, method: Method, inversions: Sequence[Inversion], regressor: Regressor, attribute: str) -> None:
        self._method, self._inversions, self._regressor, self._attribute = method, inversions, regressor, attribute
        self._before = torch.cat([self._read(method.edit(inversion)) for inversion in inversions])

    def __call__(self, direction: Direction, strength: float) -> float:
        """Mean change of the attribute, in its unit, at one strength."""
        edit = EditPass(direction.name, direction, strength)
        edited = [
            change_of(dict.fromkeys(range(len(item)), edit), item).apply(self._method, item)
            for item in self._inversions
        ]
        after = torch.cat([self._read(images) for images in edited])
        return float((after - self._before).double().mean())

    def _read(self, images: Tensor) -> Tensor:
        values = self._regressor(images)
        if self._attribute not in values:
            raise UsageError(f"nothing measures {self._attribute!r}", f"measured: {', '.join(values) or 'nothing'}")
        return values[self._attribute].detach().flatten()


class _Search:
    """Measurements made so far; errors are signed so that below 0 means "not far enough"."""

    def __init__(self, measure: Callable[[float], float], target: float, allowed: float, max_trials: int) -> None:
        self.measure, self.target, self.allowed, self.max_trials = measure, target, allowed, max_trials
        self.trials: list[Trial] = []

    @property
    def open(self) -> bool:
        done = any(abs(change - self.target) <= self.allowed for _, change in self.trials)
        return not done and len(self.trials) < self.max_trials

    def error(self, strength: float) -> float:
        change = float(self.measure(strength))
        if not math.isfinite(change):
            raise UsageError(f"the change at strength {strength:g} is {change}; it must be a number")
        self.trials.append(Trial(strength, change))
        return (change - self.target) * math.copysign(1.0, self.target)

    def close_in(self, low: float, low_error: float, high: float, high_error: float) -> None:
        side = 0
        while self.open and high_error > low_error:
            middle = (low * high_error - high * low_error) / (high_error - low_error)
            error = self.error(middle)
            if error < 0:
                low, low_error = middle, error
                # Illinois: the end that stays put twice counts half, or it would stay for ever.
                high_error = high_error / 2 if side == -1 else high_error
                side = -1
            else:
                high, high_error = middle, error
                low_error = low_error / 2 if side == 1 else low_error
                side = 1

    def best(self) -> Match:
        nearest = min(self.trials, key=lambda trial: (abs(trial.change - self.target), abs(trial.strength)))
        return Match(*nearest, abs(nearest.change - self.target) <= self.allowed, tuple(self.trials))
