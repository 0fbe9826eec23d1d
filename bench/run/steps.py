"""How far a long optimisation of one image is, and how long it still takes."""

from __future__ import annotations

import time
from collections.abc import Callable


class StepTicker:
    """Turns steps of an optimisation into a line with the time left, at most one a second.

    Args:
        say: Called with the line.
        name: The method's.
    """

    def __init__(self, say: Callable[[str], None], name: str) -> None:
        self._say, self._name = say, name
        self._phase, self._began, self._said = "", 0.0, 0.0

    def __call__(self, phase: str, done: int, of: int) -> None:
        """Hear that a method has done so many steps of a phase."""
        now = time.perf_counter()
        if phase != self._phase or done <= 1:
            self._phase, self._began = phase, now
            return
        if now - self._said < 1.0:
            return
        self._said = now
        left = (now - self._began) / (done - 1) * (of - done)
        self._say(f"{self._name}: {phase} {done}/{of}, {left:.0f} s of this image left")
