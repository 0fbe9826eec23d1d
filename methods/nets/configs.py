"""Frozen configurations to plain JSON data and back, for the metadata of our own checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from bench.core.schema import from_table, plain

T = TypeVar("T")


def to_dict(config: object) -> dict[str, Any]:
    """A configuration dataclass as JSON data (nested, tuples as lists, mapping keys as strings)."""
    return plain(config)


def from_dict(kind: type[T], data: Mapping[str, Any]) -> T:
    """The configuration of a checkpoint's metadata. Raises UsageError naming a key or value that does not fit."""
    return from_table(kind, data, f"a checkpoint's metadata, {kind.__name__}")
