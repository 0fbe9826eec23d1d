"""Pickles in every container: nested, shared, asking for a lot, and tensors of more than is there."""

from __future__ import annotations

import pickle
import struct
from typing import Any

import torch

from tests.unit.hostile.making import (
    BIG,
    MOST_STEPS,
    ZOO,
    both,
)


# --- containers: nested, shared, circular, with keys that take for ever ---
def _nested(kind: type, levels: int, shared: int) -> object:
    value: Any = kind()
    for _ in range(levels):
        value = {str(at): value for at in range(shared)} if kind is dict else kind([value] * shared)
    return value


for _kind in (dict, list, tuple):
    both(f"shared {_kind.__name__}", pickle.dumps({"a": _nested(_kind, 60, 2)}, 2))
both("deep", b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b".")
both("many", b"\x80\x02](" + b"]" * (MOST_STEPS + 1) + b"e.")
both("key of shared tuples", b"\x80\x02}(" + b")" + b"2\x86" * 60 + b"K\x01u.")
_circle: dict[str, Any] = {}
_circle["a"] = _circle
both("circle", pickle.dumps(_circle, 2))


# --- pickles that ask for a lot with little ---
def _call(name: str, *arguments: bytes) -> bytes:
    module, _, function = name.rpartition(".")
    return f"c{module}\n{function}\n(".encode() + b"".join(arguments) + b"tR"


def _int(value: int) -> bytes:
    return pickle.dumps(value, 2)[2:-1]


def _text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


for _name, _body in {
    "bytearray": _call("builtins.bytearray", _int(4 * BIG)),
    "array": _call("numpy.core.multiarray._reconstruct", b"cnumpy\nndarray\n", _int(BIG) + b"\x85", b"C\x01d"),
    "array called": _call("numpy.ndarray", _int(BIG) + b"\x85"),
    "scalar": _call("numpy.core.multiarray.scalar", _call("numpy.dtype", _text(f"V{BIG}"), b"\x89", b"\x88")),
    "text of shared": b")" + b"2\x86" * 60 + b"\x85q\x000cbuiltins\nstr\nh\x00R",
    "path": b"X\x01\0\0\0a" + b"q\x000cpathlib\nPurePosixPath\nh\x00h\x00\x86R" * 40,
    "hex": _text("a" * 1000) + b"q\x000c_codecs\nencode\nh\x00X\x03\0\0\0hex\x86R" * 40,
    "list copied": b"](" + b"N" * 100_000 + b"eq\x000(" + b"cbuiltins\nlist\nh\x00\x85R" * 10_000 + b"l",
    "set of one": b"](" + b"K\x01" * 100_000 + b"eq\x000(" + b"c__builtin__\nset\nh\x00\x85R" * 20_000 + b"l",
    "code": _call("posix.system", _text("true")),
    "size": _call("torch.Size", _int(BIG) + _int(BIG) + b"\x86"),
    "attribute": b"cbuiltins\ngetattr\n(cbuiltins\ndict\nX\x04\0\0\0keystR",
}.items():
    both(f"asks for {_name}", b"\x80\x02}X\x01\0\0\0a" + _body + b"s.")


# --- tensors that claim more than is there ---
def _storage(count: int, kind: str = "Float") -> bytes:
    return (
        b"(" + _text("storage") + f"ctorch\n{kind}Storage\n".encode() + _text("0") + _text("cpu") + _int(count) + b"tQ"
    )


def _tensor(count: int, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> bytes:
    sides, steps = (b"(" + b"".join(map(_int, values)) + b"t" for values in (shape, strides))
    hooks = b"ccollections\nOrderedDict\n)R"
    made = _call("torch._utils._rebuild_tensor_v2", _storage(count), _int(offset), sides, steps, b"\x89", hooks)
    return b"\x80\x02}X\x01\0\0\0a" + made + b"s."


for _name, _values in {
    "huge storage": (BIG, 0, (BIG,), (1,)),
    "impossible storage": (1 << 60, 0, (1 << 60,), (1,)),
    "negative storage": (-5, 0, (1,), (1,)),
    "beyond its storage": (4, 0, (BIG,), (1,)),
    "huge offset": (4, 1 << 40, (4,), (1,)),
    "negative offset": (4, -4, (4,), (1,)),
    "huge stride": (4, 0, (2,), (1 << 40,)),
    "negative stride": (4, 3, (4,), (-1,)),
    "negative side": (4, 0, (-4,), (1,)),
    "no stride": (4, 0, (1 << 20, 1 << 20), (0, 0)),
    "one dense": (1 << 10, 0, (1 << 20, 1 << 10), (0, 1)),
    "sides of nothing": (4, 0, (0, 1 << 62, 1 << 62), (1, 1, 1)),
}.items():
    both(_name, _tensor(*_values), 4 << 10)
ZOO["expanded.pt"] = lambda path: torch.save({"a": torch.zeros(1).expand(10**6, 10**6)}, path)
ZOO["a thousand expanded.pt"] = lambda path: torch.save(
    {str(at): torch.zeros(1).expand(1 << 23) for at in range(1000)}, path
)
ZOO["a thousand views.pt"] = lambda path: torch.save(
    dict.fromkeys(map(str, range(4000)), torch.zeros(1 << 20)) | {"b": torch.zeros(1 << 20)[3:]}, path
)
ZOO["strided, old.pt"] = lambda path: torch.save(
    {"a": torch.zeros(1 << 12).as_strided((1 << 11, 1 << 11), (1, 1))}, path, _use_new_zipfile_serialization=False
)
ZOO["expanded direction.pt"] = lambda path: torch.save(torch.zeros(1).expand(1 << 29), path)
ZOO["meta.pt"] = lambda path: torch.save({"a": torch.empty(1 << 40, device="meta")}, path)
ZOO["sparse.pt"] = lambda path: torch.save({"a": torch.eye(3).to_sparse()}, path)
ZOO["quantized.pt"] = lambda path: torch.save({"a": torch.quantize_per_tensor(torch.ones(3), 1, 0, torch.qint8)}, path)
ZOO["infinite.pt"] = lambda path: torch.save({"a": torch.full((3,), float("inf"))}, path)
