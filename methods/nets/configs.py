"""Frozen configurations to plain JSON data and back, for the metadata of our own checkpoints."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def to_dict(config: Any) -> dict[str, Any]:
    """A configuration dataclass as JSON data (nested, tuples as lists, mapping keys as strings)."""
    return _plain(asdict(config))


def from_dict(kind: type[T], data: Mapping[str, Any]) -> T:
    """The configuration of JSON data; names it does not have raise TypeError, absent ones keep their default."""
    hints = get_type_hints(kind)
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(set(data) - known):
        raise TypeError(f"{kind.__name__} has no {', '.join(unknown)}")
    return kind(**{name: _typed(hints[name], value) for name, value in data.items()})


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value


def _typed(hint: Any, value: Any) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        inner = [argument for argument in arguments if argument is not type(None)]
        return None if value is None else _typed(inner[0], value)
    if is_dataclass(hint) and isinstance(value, Mapping):
        return from_dict(hint, value)  # type: ignore[arg-type]
    if origin is tuple:
        inner_hint = arguments[0] if arguments else Any
        return tuple(_typed(inner_hint, item) for item in value)
    if origin is not None and isinstance(value, Mapping):
        return {arguments[0](key): _typed(arguments[1], item) for key, item in value.items()}
    return value
