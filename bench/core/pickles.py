"""A pickle is looked through before anything of it is loaded: what it names, and what it would make of how little.

Readers that run no code still copy, repeat and allocate what a file asks for. Here its instructions are followed
without their values: names that are not allowed, tensors larger than what is stored and containers that are many times
the file are refused while they are words. Ground floor.
"""

from __future__ import annotations

import math
import pickletools
import re
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pickle import UnpicklingError
from typing import IO, Any

import torch

# Far above any checkpoint: ten thousand tensors take some hundred thousand instructions.
MOST_STEPS = 1_000_000
# Bytes a value may come to along every path, beyond four times the file.
_SLACK = 64 << 20
_OVERHEAD = 64
_ARRAY_TYPE = re.compile(r"[<>|=]?[?bBhHiIlLqQefdFDUSuO]\d{0,4}|bool|(u?int|float|complex)\d{1,3}")
_TENSOR = ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor_v3")
_ITEM = {"Double": 8, "Long": 8, "Half": 2, "BFloat16": 2, "Short": 2, "Char": 1, "Byte": 1, "Bool": 1, "Untyped": 1}
_ITEM |= {"Float": 4, "Int": 4, "ComplexFloat": 8, "ComplexDouble": 16}


class ForbiddenError(UnpicklingError):
    """A pickle that names what no plain file needs; `name` is it."""

    def __init__(self, name: str) -> None:
        super().__init__(f"forbidden global {name}")
        self.name = name


@dataclass(frozen=True)
class Allowed:
    """What a pickle may name.

    Attributes:
        calls: May be called, or stand for themselves.
        values: A pattern of what may only stand for itself.
        passive: Beginnings of names whose calls make records that cost nothing.
    """

    calls: frozenset[str]
    values: re.Pattern[str] = re.compile("(?!)")
    passive: tuple[str, ...] = ()

    def __contains__(self, name: str) -> bool:
        return name in self.calls or self.values.fullmatch(name) is not None or name.startswith(self.passive)


class _Name(str):
    """A global."""

    __slots__ = ()


class _Value:
    """What a pickle's stack holds: bytes it comes to, and the value itself where it decides something."""

    __slots__ = ("weight", "what")

    def __init__(self, weight: int, what: Any = None) -> None:  # noqa: ANN401
        self.weight, self.what = weight, what


@dataclass(frozen=True)
class _Storage:
    bytes: int
    item: int


_MARK, _MADE = _Value(0), object()
_CONTAINERS = ("EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET")
_LATER = ("INST", "OBJ", "EXT1", "EXT2", "EXT4", "PERSID", "NEXT_BUFFER", "READONLY_BUFFER", "NEWOBJ_EX")


def look_through(stream: IO[bytes], size: int, allowed: Allowed) -> object:
    """Follow one pickle to its end, loading nothing.

    Args:
        stream: Where the pickle begins; is left behind it.
        size: Bytes of the whole file.
        allowed: What it may name.

    Returns:
        What it is, where it is a plain number, text or bytes.

    Raises:
        ForbiddenError: It names something else.
        UnpicklingError: It would come to many times its file, or is no sound pickle.
    """
    machine = _Machine(size, allowed)
    try:
        for step, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
            if step > MOST_STEPS:
                raise UnpicklingError(f"it has more than {MOST_STEPS:,} instructions")
            machine.step(opcode.name, argument)
        return machine.stack.pop().what if machine.stack else None
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, AttributeError, RecursionError) as error:
        # Whatever is wrong with instructions that no writer of pickles makes.
        raise UnpicklingError(f"it is damaged ({type(error).__name__})") from None


@dataclass
class _Machine:
    size: int
    allowed: Allowed
    stack: list[_Value] = field(default_factory=list)
    memo: dict[int, _Value] = field(default_factory=dict)
    storages: dict[object, _Storage] = field(default_factory=dict)
    stored: int = 0
    called: int = 0

    @property
    def limit(self) -> int:
        """Bytes that a value may come to."""
        return _SLACK + 4 * self.size

    def step(self, name: str, argument: object) -> None:
        """Do what one instruction does to the stack."""
        if handler := _HANDLERS.get(name):
            handler(self)
        elif name in ("BINPUT", "LONG_BINPUT", "PUT"):
            self.memo[int(str(argument))] = self.stack[-1]
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            self.stack.append(self.memo[int(str(argument))])
        elif name == "GLOBAL":
            self.name(*str(argument).split(" ", 1))
        elif name in _LATER:
            raise UnpicklingError(f"it has the instruction {name}, which no checkpoint needs")
        elif name not in ("PROTO", "FRAME", "STOP"):
            self.push(len(argument) if isinstance(argument, str | bytes | bytearray) else 0, argument)

    def push(self, weight: int, what: object = None) -> None:
        """A new value."""
        if weight > self.limit:
            raise UnpicklingError(
                f"it would come to more than {self.limit >> 20:,} MB, of a file of {self.size:,} bytes"
            )
        self.stack.append(_Value(weight + _OVERHEAD, what))

    def grow(self, items: Sequence[_Value]) -> None:
        """The container on top takes them."""
        target = self.stack[-1]
        target.weight += sum(item.weight for item in items)
        if target.weight > self.limit:
            self.push(target.weight)

    def above_mark(self) -> list[_Value]:
        """What lies above the last mark, taken off with it."""
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise UnpicklingError("it is damaged (no mark)")
        found = self.stack[at + 1 :]
        del self.stack[at:]
        return found

    def take(self, count: int) -> list[_Value]:
        """The topmost values, in order."""
        found = self.stack[-count:]
        if len(found) < count:
            raise UnpicklingError("it is damaged (too few values)")
        del self.stack[-count:]
        return found

    def gather(self, items: Sequence[_Value], *, fixed: bool = False) -> None:
        """A new container of them."""
        self.push(sum(item.weight for item in items), tuple(items) if fixed else None)

    def name(self, module: str, name: str) -> None:
        """A global."""
        module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
        whole = _Name(f"{module}.{name}")
        if whole not in self.allowed:
            if whole.startswith("torch._utils._rebuild_"):
                raise UnpicklingError("a tensor in it has no values of its own, or is sparse or quantized")
            raise ForbiddenError(whole)
        self.push(0, whole)

    def call(self, function: _Value, arguments: _Value) -> None:
        """A global is called."""
        name, items = function.what, arguments.what
        if not isinstance(name, _Name) or not isinstance(items, tuple):
            raise UnpicklingError("it calls what is no function")
        passive = name.startswith(self.allowed.passive)
        if name not in self.allowed.calls and not passive:
            raise ForbiddenError(name)
        if name == "torch._tensor._rebuild_from_type_v2":
            self.call(items[0], items[2])
            return
        if not passive:
            self.called += arguments.weight
            if self.called > self.limit:
                self.push(self.called)
        self._check_call(name, items)
        made: object = _MADE if name in _TENSOR or "parameter" in name.lower() else None
        if name == "torch.storage._load_from_bytes" and isinstance(items[0].what, bytes):
            # Of a type that is told inside: a byte is the least that a number takes.
            made = _Storage(len(items[0].what), 1)
        self.push(arguments.weight, made)

    def _check_call(self, name: str, items: tuple[_Value, ...]) -> None:
        values = [item.what for item in items]
        if name in _TENSOR:
            self._check_tensor(values)
        elif name == "_codecs.encode" and values[1:] not in (["latin1"], [b"latin1"]):
            raise UnpicklingError("it encodes text in a way that no pickle needs")
        elif name == "builtins.bytearray" and any(isinstance(value, int) for value in values):
            raise UnpicklingError("it asks for bytes that it does not hold")
        elif name.endswith("multiarray._reconstruct"):
            shape = _numbers(values[1])
            if shape not in ((), (0,)):
                raise UnpicklingError("it asks for an array that it does not hold")
        elif name.endswith("multiarray.scalar") and len(values) != 2:
            raise UnpicklingError("it asks for a number that it does not hold")
        elif name == "numpy.dtype" and not _ARRAY_TYPE.fullmatch(_text(values[0])):
            raise UnpicklingError("it asks for an array of a type that no checkpoint has")

    def _check_tensor(self, values: list[Any]) -> None:
        storage, offset, shape, strides = values[0], values[1], _numbers(values[2]), _numbers(values[3])
        if not isinstance(storage, _Storage):
            raise UnpicklingError("a tensor of nothing that is stored")
        typed = next((_size_of(str(value)) for value in values[4:] if isinstance(value, _Name)), 0)
        item = typed or storage.item
        if not isinstance(offset, int) or min((offset, *shape, *strides)) < 0 or len(shape) != len(strides):
            raise UnpicklingError(f"a tensor of shape {list(shape)} and strides {list(strides)}")
        last = sum((side - 1) * stride for side, stride in zip(shape, strides, strict=True))
        if math.prod(shape) and (offset + last + 1) * item > storage.bytes:
            raise UnpicklingError(
                f"a tensor of shape {list(shape)} reaches beyond the {storage.bytes:,} bytes it holds"
            )

    def persistent(self) -> None:
        """A storage of PyTorch's, told by its size."""
        values = [item.what for item in self.stack.pop().what]
        kind, key, count = values[1], values[2], values[4]
        if _text(values[0]) != "storage" or not isinstance(kind, _Name) or not isinstance(count, int) or count < 0:
            raise UnpicklingError("it asks for something else than what is stored in it")
        if len(values) > 5 and values[5] is not None:
            raise UnpicklingError("its storages are parts of others")
        if key not in self.storages:
            item = _ITEM.get(kind.rpartition(".")[2].removesuffix("Storage"), 0)
            if not item:
                raise UnpicklingError(f"a tensor of {kind}, which no checkpoint needs")
            self.storages[key] = _Storage(count * item, item)
            self.stored += count * item
            if self.stored > self.size:
                raise UnpicklingError(f"its tensors claim {self.stored:,} bytes of a file of {self.size:,}")
        self.push(0, self.storages[key])

    def build(self) -> None:
        """State is given to an object; a tensor has none that a checkpoint needs."""
        (state,) = self.take(1)
        if self.stack[-1].what is _MADE:
            raise UnpicklingError("it changes a tensor after it was made")
        self.grow([state])


def _text(value: object) -> str:
    return value.decode("latin1") if isinstance(value, bytes) else str(value)


def _numbers(value: object) -> tuple[int, ...]:
    found = tuple(item.what for item in value) if isinstance(value, tuple) else (None,)
    if not all(isinstance(number, int) for number in found):
        raise UnpicklingError("a shape that is no numbers")
    return found


def _size_of(name: str) -> int:
    kind = getattr(torch, name.removeprefix("torch."), None)
    return kind.itemsize if isinstance(kind, torch.dtype) else 0


_HANDLERS: dict[str, Callable[[_Machine], object]] = {
    "MARK": lambda m: m.stack.append(_MARK),
    "POP": lambda m: m.stack.pop(),
    "POP_MARK": lambda m: m.above_mark(),
    "DUP": lambda m: m.stack.append(m.stack[-1]),
    "MEMOIZE": lambda m: m.memo.__setitem__(len(m.memo), m.stack[-1]),
    **dict.fromkeys(_CONTAINERS, lambda m: m.push(0)),
    "EMPTY_TUPLE": lambda m: m.push(0, ()),
    "TUPLE": lambda m: m.gather(m.above_mark(), fixed=True),
    "TUPLE1": lambda m: m.gather(m.take(1), fixed=True),
    "TUPLE2": lambda m: m.gather(m.take(2), fixed=True),
    "TUPLE3": lambda m: m.gather(m.take(3), fixed=True),
    **dict.fromkeys(("LIST", "DICT", "FROZENSET"), lambda m: m.gather(m.above_mark())),
    "APPEND": lambda m: m.grow(m.take(1)),
    "SETITEM": lambda m: m.grow(m.take(2)),
    **dict.fromkeys(("APPENDS", "SETITEMS", "ADDITEMS"), lambda m: m.grow(m.above_mark())),
    "REDUCE": lambda m: m.call(*m.take(2)),
    "NEWOBJ": lambda m: m.call(*m.take(2)),
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.persistent,
    "STACK_GLOBAL": lambda m: m.name(*(_text(item.what) for item in m.take(2))),
}
