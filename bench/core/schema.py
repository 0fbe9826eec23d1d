"""Tables to frozen dataclasses: the one way from TOML and JSON to what the code works with, checked whole.

Fields without a default must be in the table, keys that are no fields are refused with the close ones. Types may be
bool, int, float, str, a Literal, a tuple of these (a single value stands for a tuple of one), a Mapping to these,
another such dataclass, each of them or None, and Any; a number's bounds stand in an `Annotated` type. A wrong value is
named with its file and key, and what was expected: "paper-1.toml: numbers.seed is 'x', but must be a whole number".
"""

from __future__ import annotations

import math
import re
import tomllib
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, asdict, dataclass, fields, is_dataclass, replace
from pathlib import Path
from textwrap import shorten
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from bench.core.errors import BenchError, MissingError, UsageError, unknown_name
from bench.core.files import read_text

T = TypeVar("T")
# The largest of ours has 60 kB.
MOST_TOML = 512 << 10
_DEEPEST_KEY, _KEY_ENDS = 20, re.compile(r"[=\[\]{},#]")
_WORDS = {float: "a finite number", int: "a whole number", bool: "true or false", str: "text"}


@dataclass(frozen=True)
class Bounds:
    """Bounds of a number: `Annotated[float, Bounds(0, below=1)]`.

    Attributes:
        low, high: Itself among the values.
        above, below: Itself not among them.
    """

    low: float = -math.inf
    high: float = math.inf
    above: float = -math.inf
    below: float = math.inf

    def missed(self, value: float) -> str:
        """The bound that a value is beyond ("at least 0"); empty where it lies within all."""
        within = {
            f"at least {self.low:g}": value >= self.low,
            f"more than {self.above:g}": value > self.above,
            f"at most {self.high:g}": value <= self.high,
            f"below {self.below:g}": value < self.below,
        }
        return next((bound for bound, kept in within.items() if not kept), "")


@dataclass(frozen=True)
class _Place:
    """Where a value stands, for messages: the file (or what it is called), and the keys that lead to it."""

    where: str
    key: str = ""

    def below(self, key: object) -> _Place:
        return _Place(self.where, f"{self.key}.{key}" if self.key else str(key))

    def unknown(self, what: str, name: object, known: list[str]) -> UsageError:
        error = unknown_name(what, str(name), known)
        return UsageError(": ".join(filter(None, (self.where, self.key, error.what))), error.next_step)

    def wrong(self, value: object, wanted: str) -> UsageError:
        shown = shorten(repr(value)[:200], 80, placeholder="...")
        return UsageError(f"{self.where}: {self.key} is {shown}, but must be {wanted}")


def from_table(kind: type[T], table: Mapping[str, Any], where: str, beside: Sequence[str] = ()) -> T:
    """The dataclass `kind` of a table.

    Args:
        where: The table's name for messages ("world/warpres", "[pictures] of paper-1.toml").
        beside: Keys that are known as well but not the dataclass's, for the close names.

    Raises:
        UsageError: An unknown key, a missing one, or a value of another type or outside its choices.
    """
    return _build(kind, table, _Place(where), beside)


def checked(kind: type[Any], table: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Some fields of the dataclass `kind` by name, each as its type. Raises UsageError as `from_table`."""
    return _values(kind, table, _Place(where))


def overlay(tree: T, table: Mapping[str, Any], where: str) -> T:
    """The dataclass `tree` with a table's keys replaced; tables inside, and mappings by name, are merged.

    Raises UsageError as `from_table`.
    """
    return _overlaid(tree, table, _Place(where))


def read_toml(path: Path, what: str = "") -> dict[str, Any]:
    """A TOML file's content; `what` names its kind in messages.

    Raises:
        MissingError: No such file, or it cannot be read.
        UsageError: It is not TOML.
    """
    name = f"{what} {path}".lstrip()
    try:
        return parse_toml(read_text(path, MOST_TOML), name)
    except OSError as error:
        raise MissingError(f"{name}: cannot be read ({error.strerror or error})") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{name} is not TOML: {error}", "save it as UTF-8") from None


def parse_toml(text: str, name: str) -> dict[str, Any]:
    """The table of a TOML text. Raises UsageError naming what it is called where it is none."""
    # Every level of a dotted key is walked for every other.
    if any(part.count(".") > _DEEPEST_KEY for line in text.splitlines() for part in _KEY_ENDS.split(line)):
        raise UsageError(f"{name} has a key of more than {_DEEPEST_KEY} parts")
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # whole numbers of thousands of digits are no TOMLDecodeError
        raise UsageError(f"{name} is not TOML: {error}") from None


def plain(config: object) -> dict[str, Any]:
    """A dataclass as JSON data (nested, tuples as lists, keys as text); `from_table` reads it back."""
    return _plain(asdict(config), lambda item: item)  # type: ignore[call-overload]


def differing(config: Any) -> dict[str, Any]:
    """A dataclass as plain data, without what equals its default: what a digest is made of."""
    found: dict[str, Any] = {}
    for item in fields(config):
        value = getattr(config, item.name)
        if _needed(item) or value != _default(item):
            found[item.name] = _plain(value, differing)
    return found


def _build(kind: type[T], table: Mapping[str, Any], place: _Place, beside: Sequence[str] = ()) -> T:
    absent = [item.name for item in _fields(kind).values() if item.name not in table and _needed(item)]
    values = _values(kind, table, place, beside)
    if absent:
        raise UsageError(f"{place.where} lacks {', '.join(str(place.below(name).key) for name in sorted(absent))}")
    return kind(**values)


def _values(kind: type[Any], table: Mapping[str, Any], place: _Place, beside: Sequence[str] = ()) -> dict[str, Any]:
    hints, known = get_type_hints(kind, include_extras=True), _fields(kind)
    for key in table:
        if key not in known:
            raise place.unknown("key", key, [*known, *beside])
    return {key: _value(hints[key], value, place.below(key)) for key, value in table.items()}


def _overlaid(tree: T, table: Mapping[str, Any], place: _Place) -> T:
    plain_keys: dict[str, Any] = {}
    changes: dict[str, Any] = {}
    for key, value in table.items():
        old = getattr(tree, key, None)
        if not is_dataclass(old):
            plain_keys[key] = value
        elif isinstance(value, Mapping):
            changes[key] = _overlaid(old, value, place.below(key))
        else:
            raise place.below(key).wrong(value, "a table")
    for key, new in _values(type(tree), plain_keys, place).items():
        old = getattr(tree, key)
        changes[key] = {**old, **new} if isinstance(old, Mapping) else new
    return replace(tree, **changes)  # type: ignore[type-var]


def _fields(kind: type[Any]) -> dict[str, Field[Any]]:
    return {item.name: item for item in fields(kind)}


def _needed(item: Field[Any]) -> bool:
    return item.default is MISSING and item.default_factory is MISSING


def _default(item: Field[Any]) -> Any:
    return item.default if item.default_factory is MISSING else item.default_factory()


def _plain(value: Any, of_dataclass: Callable[[Any], Any]) -> Any:
    if is_dataclass(value):
        return of_dataclass(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item, of_dataclass) for key, item in value.items()}
    return [_plain(item, of_dataclass) for item in value] if isinstance(value, tuple | list) else value


def _value(hint: Any, value: Any, place: _Place) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any or hint is object:
        return value
    if origin is Annotated:
        return _bounded(hint, value, place)
    if origin in (Union, types.UnionType):
        return _one_of(arguments, value, place)
    if origin is Literal:
        if value not in arguments:
            raise place.unknown("value", value, [str(item) for item in arguments])
        return value
    if is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise place.wrong(value, "a table")
        return _build(hint, value, place)  # type: ignore[arg-type]
    if origin is tuple:
        return _tuple(arguments, value, place)
    if origin is not None:
        if not isinstance(value, Mapping):
            raise place.wrong(value, "a table")
        kind, of = arguments
        return {_key(kind, key, place): _value(of, item, place.below(key)) for key, item in value.items()}
    return _scalar(hint, value, place)


def _bounded(hint: Any, value: Any, place: _Place) -> Any:
    kind, *notes = get_args(hint)
    number = _value(kind, value, place)
    for bounds in notes:
        if isinstance(bounds, Bounds) and (bound := bounds.missed(number)):
            raise place.wrong(value, bound)
    return number


def _one_of(hints: tuple[Any, ...], value: Any, place: _Place) -> Any:
    if value is None and types.NoneType in hints:
        return None
    kinds = [hint for hint in hints if hint is not types.NoneType]
    for hint in kinds[:-1]:
        try:
            return _value(hint, value, place)
        except BenchError:
            continue
    return _value(kinds[-1], value, place)


def _tuple(arguments: tuple[Any, ...], value: Any, place: _Place) -> tuple[Any, ...]:
    endless = len(arguments) == 2 and arguments[1] is Ellipsis
    if endless:
        items = value if isinstance(value, list | tuple) else [value]
        return tuple(_value(arguments[0], item, place) for item in items)
    if not isinstance(value, list | tuple) or len(value) != len(arguments):
        raise place.wrong(value, f"a list of {len(arguments)}")
    return tuple(_value(kind, item, place) for kind, item in zip(arguments, value, strict=True))


def _key(hint: Any, key: Any, place: _Place) -> Any:
    if hint is not int:
        return str(key)
    try:
        return int(key)
    except ValueError:
        raise place.below(key).wrong(key, "under a whole number") from None


def _scalar(hint: Any, value: Any, place: _Place) -> Any:
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool) and _is_finite(value):
        return float(value)
    if hint is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if hint is bool and isinstance(value, bool):
        return value
    if hint is str and isinstance(value, str):
        if not value.isprintable() and any(ord(letter) < 32 and letter not in "\t\n\r" for letter in value):
            raise place.wrong(value, "text without control characters")
        return value
    raise place.wrong(value, _WORDS.get(hint, str(hint)))


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond all floating-point ones
        return False
