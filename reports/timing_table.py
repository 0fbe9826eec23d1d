"""Runtimes of a run (`timing.json`) for the page and for the paper's runtime column; never part of a score table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.core.sealed import DamagedError, read_sealed


@dataclass(frozen=True)
class Timing:
    """Seconds an image of one method: the median, and the median of each stage in running order.

    Attributes:
        efficiency: Multiply-accumulates / time / the machine's peak; None where it was not measured.
        second_edit: Time of a further edit as a share of the first; None where it was not measured.
    """

    method: str
    seconds: float
    stages: Mapping[str, float]
    efficiency: float | None = None
    second_edit: float | None = None

    def clock(self) -> dict[str, float]:
        """The columns of `reports.published.rows.CLOCK` that are known."""
        found = {"runtime": self.seconds, "efficiency": self.efficiency, "second_edit": self.second_edit}
        return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True)
class Timings:
    """All timings of a run, and the machine they were taken on (they mean nothing on another one)."""

    device: str
    methods: Mapping[str, Timing]

    @property
    def stages(self) -> tuple[str, ...]:
        """Stages of all methods, in the order in which they are first met."""
        return tuple(dict.fromkeys(stage for timing in self.methods.values() for stage in timing.stages))

    @property
    def seconds(self) -> dict[str, float]:
        """Method -> median seconds an image."""
        return {name: timing.seconds for name, timing in self.methods.items()}


def read_timings(run: Path) -> Timings | None:
    """The run's timings; None where there are none, or they are not what was written (a report does without)."""
    try:
        content = read_sealed(run / "timing.json")
        methods = {name: _timing(name, about) for name, about in content["methods"].items()}
    except (FileNotFoundError, DamagedError, KeyError, TypeError, AttributeError):
        return None
    device = content.get("device") or content.get("machine") or ""
    found = {name: timing for name, timing in methods.items() if timing is not None}
    return Timings(_words(device), found) if found else None


def _words(device: object) -> str:
    if isinstance(device, Mapping):
        return ", ".join(f"{key} {value}" for key, value in device.items() if isinstance(value, str | int | float))
    return str(device)


def _timing(name: str, about: Mapping[str, Any]) -> Timing | None:
    stages = {stage: s for stage, value in (about.get("stages") or {}).items() if (s := _seconds(value)) is not None}
    total = _seconds(about)
    if total is None:
        total = sum(stages.values()) if stages else None
    if total is None:
        return None
    second = about.get("second_edit")
    share = second.get("share_of_first") if isinstance(second, Mapping) else None
    return Timing(name, total, stages, _number(about.get("efficiency")), _number(share))


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _seconds(value: object) -> float | None:
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, Mapping):
        for key in ("median", "seconds", "mean", "total"):
            if isinstance(value.get(key), int | float | Mapping):
                return _seconds(value[key])
    return None
