"""How long a plan will take on this machine: from how long the same methods took here before.

Every run leaves its seconds a result in the user's cache, by method digest, protocols and device: a run of eight
images tells what a run of thousands will take.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError
from bench.core.files import read_json, write_atomic
from bench.plan.work import MethodSpec, Work
from bench.weights.registry import home

RECORD = "seconds.json"


def remember(work: Work, spent: Mapping[str, tuple[int, float]]) -> None:
    """Keep what a run took: method -> (results, seconds of one process). A cache that cannot be written is no fault."""
    known = _read()
    for spec in work.specs:
        results, seconds = spent.get(spec.name, (0, 0.0))
        if results:
            known[_key(work, spec)] = seconds / results
    try:
        write_atomic(home() / RECORD, json.dumps(known, indent=1) + "\n")
    except BenchError:
        return


def seconds_left(work: Work, todo: Mapping[str, int], workers: int) -> tuple[float, list[str]]:
    """Seconds that the missing results of the known methods will take, and the methods of which nothing is known.

    `todo`: method -> results to compute; a method that cannot run yet is one of which nothing is known.
    """
    known, present = _read(), {spec.name: spec for spec in work.specs}
    total, unknown = 0.0, []
    for name, count in todo.items():
        pace = known.get(_key(work, present[name])) if name in present else None
        if count and pace is None:
            unknown.append(name)
        elif count and pace is not None:
            total += count * pace / workers
    return total, unknown


def words(seconds: float) -> str:
    """ "40 s", "12 min", "3.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _key(work: Work, spec: MethodSpec) -> str:
    about = [spec.digest, [work.protocol_digest(evaluator) for evaluator in work.evaluators], work.device, work.group]
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()[:32]


def _read() -> dict[str, Any]:
    try:
        known = read_json(Path(home()) / RECORD)
        return known if isinstance(known, dict) else {}
    except (OSError, ValueError):
        return {}
