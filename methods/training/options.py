"""Tables of a recipe to frozen dataclasses, checked whole: unknown keys and values are refused with the close ones.

A task states its options as a dataclass `Options`; fields without a default must be in the recipe. Types may be bool,
int, float, str, a Literal, a tuple of these, a Mapping of str to these, another such dataclass, and each of them or
None.
"""

from __future__ import annotations

import math
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from bench.core.errors import UsageError, unknown_name

T = TypeVar("T")


def read_options(kind: type[T], data: Mapping[str, Any], where: str, beside: Sequence[str] = ()) -> T:
    """The dataclass of a table. Raises UsageError naming the key, what is wrong with it, and what is known.

    Args:
        kind: A dataclass.
        data: A TOML table.
        where: The table's name for messages ("world/warpres", "world/warpres: weights").
        beside: Keys that are known as well but not the dataclass's, for the close names.
    """
    hints = get_type_hints(kind)
    known: dict[str, Field[Any]] = {item.name: item for item in fields(kind)}  # type: ignore[arg-type]
    for key in data:
        if key not in known:
            raise unknown_name(f"key of {where}:", key, [*known, *beside])
    if absent := [name for name, item in known.items() if name not in data and _needed(item)]:
        raise UsageError(f"{where} lacks {', '.join(sorted(absent))}")
    return kind(**{key: _value(hints[key], value, f"{where}: {key}") for key, value in data.items()})


def differing(config: Any) -> dict[str, Any]:
    """A dataclass as plain data, without what equals its default: what a digest is made of."""
    found: dict[str, Any] = {}
    for item in fields(config):
        value = getattr(config, item.name)
        if _needed(item) or value != _default(item):
            found[item.name] = _plain(value)
    return found


def _needed(item: Field[Any]) -> bool:
    return item.default is MISSING and item.default_factory is MISSING


def _default(item: Field[Any]) -> Any:
    return item.default if item.default_factory is MISSING else item.default_factory()


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return differing(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value


def _value(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        (inner,) = (argument for argument in arguments if argument is not type(None))
        return None if value is None else _value(inner, value, where)
    if origin is Literal:
        if value not in arguments:
            raise unknown_name(f"value of {where}:", str(value), [str(argument) for argument in arguments])
        return value
    if is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise _wrong(where, value, "a table")
        return read_options(hint, value, where)  # type: ignore[arg-type]
    if origin is tuple:
        return _tuple(arguments, value, where)
    if origin is not None:
        if not isinstance(value, Mapping):
            raise _wrong(where, value, "a table")
        return {key: _value(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    return _scalar(hint, value, where)


def _tuple(arguments: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise _wrong(where, value, "a list")
    endless = len(arguments) == 2 and arguments[1] is Ellipsis
    if not endless and len(value) != len(arguments):
        raise _wrong(where, value, f"a list of {len(arguments)}")
    kinds = [arguments[0]] * len(value) if endless else arguments
    return tuple(_value(kind, item, where) for kind, item in zip(kinds, value, strict=True))


def _scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise _wrong(where, value, "a finite number")
        return float(value)
    if hint is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if hint in (bool, str) and isinstance(value, hint):
        return value
    names = {float: "a number", int: "a whole number", bool: "true or false", str: "a text"}
    raise _wrong(where, value, names.get(hint, str(hint)))


def _wrong(where: str, value: Any, wanted: str) -> UsageError:
    return UsageError(f"{where} is {value!r}, but must be {wanted}")
