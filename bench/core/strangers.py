"""Packages of other people that take the place of ours on Python's path (NVIDIA's repositories have a `metrics/`)."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from bench.core.errors import MissingError

OURS = ("methods", "metrics", "reports")
_ROOT = Path(__file__).resolve().parents[2]


def refuse_strangers() -> None:
    """Raise MissingError where importing one of our packages would give another of its name; nothing is imported."""
    for name in OURS:
        spec = find_spec(name)
        found = Path(spec.origin).resolve().parent if spec and spec.origin else None
        if found != _ROOT / name:
            raise MissingError(
                f"Python finds another package called {name!r}: {found or 'none'}; ours is {_ROOT / name}",
                "start from another folder, or take that one off PYTHONPATH (docs: First run, If imports clash)",
            )
