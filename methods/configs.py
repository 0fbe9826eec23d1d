"""Configurations to and from plain dictionaries: metadata of checkpoints (JSON) and recipes (TOML)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from bench.errors import UsageError

Config = TypeVar("Config")


def to_plain(config: Any) -> dict[str, Any]:
    """A configuration as nested dictionaries, lists and numbers, for JSON and TOML."""
    return asdict(config)


def from_plain(kind: type[Config], values: Mapping[str, Any]) -> Config:
    """A configuration of class `kind` from nested dictionaries; what is not given keeps its default.

    Raises:
        UsageError: For a name the configuration does not have.
    """
    hints = get_type_hints(kind)
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    if strange := [name for name in values if name not in known]:
        raise UsageError(f"{kind.__name__} has no {strange[0]!r}", f"known: {', '.join(known)}")
    return kind(**{name: _value(hints[name], value) for name, value in values.items()})


def _value(hint: Any, value: Any) -> Any:
    if isinstance(hint, type) and is_dataclass(hint):
        return from_plain(hint, value)
    if isinstance(value, Mapping) and get_origin(hint) is not None:
        # JSON keys are text; a mapping of resolutions has integers.
        key_type = get_args(hint)[0]
        return {key_type(key): item for key, item in value.items()}
    return _tuples(value)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list | tuple) else value
