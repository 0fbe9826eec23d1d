"""The cores of this machine."""

from __future__ import annotations

import os


def cores() -> list[int]:
    """The processor's cores that this process may use, where the system says so; else all."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))
