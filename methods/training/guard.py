"""What ends a training before its last step: signals, a deadline, losses that are no numbers, another process."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor, nn

from bench.core.errors import BenchError, ExitCode, UsageError

EXPLOSION = 1000.0  # times the largest total of the first steps: far above what adversarial losses and R1 do
FIRST_STEPS = 5  # whose totals say what is usual, until more have been looked at


class DivergedError(BenchError):
    """A loss or a weight is no number any more, or a loss exploded."""

    exit_code = ExitCode.DIVERGED


class Stop:
    """Whether to stop: asked by a signal or after `deadline` seconds."""

    def __init__(self, deadline: float | None = None) -> None:
        self.signalled = False
        self._end = None if deadline is None else time.monotonic() + deadline

    @property
    def wanted(self) -> bool:
        """Whether a signal came or the deadline has passed."""
        return self.signalled or self.late

    @property
    def late(self) -> bool:
        """Whether the deadline has passed; never without one."""
        return self._end is not None and time.monotonic() >= self._end

    @contextmanager
    def listening(self) -> Iterator[Stop]:
        """SIGINT and SIGTERM ask for a stop; the second one ends the process as usual."""
        try:
            before = {number: signal.signal(number, self._hear(number)) for number in (signal.SIGINT, signal.SIGTERM)}
        except ValueError:  # not in the main thread: nobody signals us there
            before = {}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _hear(self, number: int) -> Callable[[int, FrameType | None], Any]:
        def heard(*_: object) -> None:
            if self.signalled:
                signal.signal(number, signal.SIG_DFL)
                raise KeyboardInterrupt
            self.signalled = True

        return heard


@contextmanager
def locked(path: Path, taken: str) -> Iterator[None]:
    """Hold a lock inside. Raises UsageError, saying `taken`, where another process has it."""
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UsageError(taken, "wait for it, or give another --out") from None
    try:
        yield
    finally:
        lock.release()


class Losses:
    """The steps' losses, kept on their device until they are asked for, so that no step waits for them.

    Args:
        bound: Largest total seen in the first steps (from a checkpoint); None while there was none.
    """

    def __init__(self, bound: float | None = None) -> None:
        self.bound = bound
        self._steps: list[tuple[int, Sequence[str], Tensor]] = []

    def __len__(self) -> int:
        return len(self._steps)

    def add(self, step: int, losses: Mapping[str, Tensor]) -> None:
        """Keep a step's losses (their means, as float32), all on the device of the first."""
        if losses:
            device = next(iter(losses.values())).device
            values = [value.detach().to(device, torch.float32).mean() for value in losses.values()]
            self._steps.append((step, tuple(losses), torch.stack(values)))

    def take(self) -> dict[str, float]:
        """Means by name over the steps that had it, since the last call.

        Raises:
            DivergedError: Names the first step at which a loss was no number or the total exploded.
        """
        sums: dict[str, list[float]] = {}
        totals: list[float] = []
        # One copy from the device for all steps.
        values = iter(torch.cat([part for _, _, part in self._steps]).tolist() if self._steps else ())
        for step, names, _ in self._steps:
            numbers = {name: next(values) for name in names}
            usual = max(totals) if self.bound is None and len(totals) >= FIRST_STEPS else self.bound
            totals.append(_total(step, numbers, usual))
            for name, value in numbers.items():
                sums.setdefault(name, []).append(value)
        self._steps = []
        if self.bound is None and totals:
            self.bound = max(totals)
        return {name: sum(values) / len(values) for name, values in sums.items()}


def _total(step: int, numbers: Mapping[str, float], usual: float | None) -> float:
    """Total of a step's losses. Raises DivergedError where one is no number, or it is far above the usual total."""
    for name, value in numbers.items():
        if not math.isfinite(value):
            raise DivergedError(f"at step {step} the loss {name!r} was {value}")
    total = sum(abs(value) for name, value in numbers.items() if "/" not in name)
    if usual is not None and total > EXPLOSION * max(usual, 1e-6):
        raise DivergedError(f"at step {step} the losses had grown to {total:.3g}, from {usual:.3g} at the beginning")
    return total


def check_weights(modules: Mapping[str, nn.Module], step: int) -> None:
    """Raise DivergedError where a weight or buffer of a module is no number."""
    for name, module in modules.items():
        tensors = [value for value in module.state_dict().values() if value.is_floating_point() and value.numel()]
        if tensors and not all(bool(torch.isfinite(value).all()) for value in tensors):
            raise DivergedError(f"at step {step} a weight of {name!r} was no number")
