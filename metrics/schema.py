"""From a parsed TOML table to a frozen dataclass: every key known, every value of its type, close names offered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from bench.core.errors import UsageError, unknown_name

T = TypeVar("T")


def build(cls: type[T], table: Mapping[str, Any], where: str) -> T:
    """An instance of the dataclass `cls` from `table`; `where` names it in errors ("[images] of paper-1.toml").

    Literal, int, float, str, bool, homogeneous tuples, optional and untyped mappings are understood; lists become
    tuples.

    Raises:
        UsageError: An unknown key (with close names), a missing key, a value of another type or outside its choices.
    """
    hints = get_type_hints(cls)
    known = {field.name: field for field in fields(cls)}  # type: ignore[arg-type]
    for key in table:
        if key not in known:
            raise unknown_name(f"key in {where}", key, sorted(known))
    for name, field in known.items():
        if name not in table and field.default is MISSING and field.default_factory is MISSING:
            raise UsageError(f"{where} lacks the key {name!r}")
    return cls(**{key: _checked(hints[key], value, f"{key!r} in {where}") for key, value in table.items()})


def _checked(hint: Any, value: Any, where: str) -> Any:
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return _checked(next(arg for arg in args if arg is not NoneType), value, where)
    if origin is Literal:
        if value not in args:
            raise unknown_name(f"value of {where}:", str(value), [str(choice) for choice in args])
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple) or (args[-1] is not Ellipsis and len(value) != len(args)):
            raise UsageError(
                f"{where} should be a list of {'any' if args[-1] is Ellipsis else len(args)} values, not {value!r}"
            )
        return tuple(_checked(args[0], item, where) for item in value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and (not isinstance(value, hint) or (hint is int and isinstance(value, bool))):
        raise UsageError(f"{where} should be {hint.__name__}, not {value!r}")
    return value
