"""Where a run's time went: phases of all its processes, and the share that its networks had."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.core.text_table import aligned

# What a part of a run hands back beside its methods, under a name no method has.
PHASES = "*"
NETWORKS, READING, LOADING, SCORING = "networks", "real images", "loading", "waiting for scores"
OTHER = "other"


@dataclass
class Phases:
    """Seconds of one process by phase, and of the whole; `time` adds up what runs inside it."""

    whole: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def time(self, phase: str) -> Iterator[None]:
        """Count what happens inside as `phase`."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - began

    def record(self, networks: float) -> dict[str, float]:
        """Phase -> seconds, the networks' own and what no phase counts among them."""
        named = self.seconds | {NETWORKS: networks}
        return named | {OTHER: max(0.0, self.whole - sum(named.values()))}


def together(parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Phase -> seconds of all processes, the longest first."""
    names = {name for part in parts for name in part}
    total = {name: sum(part.get(name, 0.0) for part in parts) for name in names}
    return dict(sorted(total.items(), key=lambda item: -item[1]))


def outside(phases: Mapping[str, float]) -> str:
    """One sentence: the share of a run's time outside its networks."""
    whole = sum(phases.values())
    share = 1 - phases.get(NETWORKS, 0.0) / whole if whole else 0.0
    return f"{share:.0%} of the run's {whole:.0f} s was spent outside networks (--profile says where)"


def lines(phases: Mapping[str, float]) -> list[str]:
    """The phases as a small table."""
    whole = sum(phases.values()) or 1.0
    rows = [(name, f"{seconds:.2f} s", f"{seconds / whole:.1%}") for name, seconds in phases.items()]
    return [f"  {line}" for line in aligned(rows, right=(1, 2))]
