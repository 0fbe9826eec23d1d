"""Stage clocks: how long each announced stage of a method takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


def synchroniser(device: str) -> Callable[[], None]:
    """What waits until a device has done its queue; nothing to wait for on the CPU."""
    import torch

    if device.startswith("cuda"):
        return lambda: torch.cuda.synchronize(device)
    if device == "mps":
        return torch.mps.synchronize
    return lambda: None


@dataclass
class StageClock:
    """Listens to stage announcements and adds up their times, nested stages to themselves alone.

    Attributes:
        synchronise: Called before every reading, so that a GPU's work counts where it was asked for.
        seconds, calls: Stage name -> total.
    """

    synchronise: Callable[[], None] = lambda: None
    seconds: dict[str, float] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    _open: list[tuple[str, float]] = field(default_factory=list)

    def __call__(self, name: str, begins: bool) -> None:
        self.synchronise()
        now = time.perf_counter()
        if begins:
            if self._open:
                self._add(self._open[-1][0], now - self._open[-1][1])
            self._open.append((name, now))
            self.calls[name] = self.calls.get(name, 0) + 1
            return
        name, since = self._open.pop()
        self._add(name, now - since)
        if self._open:
            self._open[-1] = (self._open[-1][0], now)

    def _add(self, name: str, seconds: float) -> None:
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def record(self) -> dict[str, Any]:
        """Plain data: {stage: {"seconds", "calls"}}."""
        return {name: {"seconds": round(self.seconds[name], 6), "calls": self.calls[name]} for name in self.seconds}
