"""Stage clocks: how long each announced stage of a method takes."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.core.sealed import DamagedError, read_sealed, write_sealed


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
        """Hear that a stage begins or ends."""
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


def cpu_name() -> str:
    """The processor's name, as the system says it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def reset_peak_memory(device: str) -> None:
    """Start a new measurement of the largest memory in use, where the system can."""
    import torch

    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)
        return
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def peak_memory(device: str) -> int | None:
    """Largest memory in use since `reset_peak_memory`, in bytes: the GPU's, or this process's on the CPU; else None."""
    import torch

    if device.startswith("cuda"):
        return int(torch.cuda.max_memory_allocated(device))
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))
    except (OSError, StopIteration, ValueError):
        return None


def read_timing(folder: Path) -> dict[str, Any]:
    """A run's times (`timing.json`); {} where there are none, or they are not what was written."""
    try:
        return read_sealed(folder / "timing.json")
    except (FileNotFoundError, DamagedError):
        return {}


def timing_is_damaged(folder: Path) -> bool:
    """Whether there are times that are not what was written."""
    try:
        read_sealed(folder / "timing.json")
    except FileNotFoundError:
        return False
    except DamagedError:
        return True
    return False


def write_timing(folder: Path, timing: Mapping[str, Any]) -> None:
    """Keep a run's times. Raises MissingError where the folder cannot be written."""
    write_sealed(folder / "timing.json", timing)
