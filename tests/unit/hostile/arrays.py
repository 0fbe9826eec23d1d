"""Safetensors and NumPy's arrays."""

# ruff: noqa: E501  (tables of files, a line each)

from __future__ import annotations

import json
import pickle
import struct

import torch
from safetensors.torch import save

from tests.unit.hostile.making import (
    BIG,
    ZOO,
    Make,
    npy,
)


# --- safetensors ---
def _safetensors(header: object, body: bytes = b"", length: int | None = None) -> Make:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return lambda path: path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + body)


def described(shape: list[int], start: int, end: int, kind: str = "F32") -> dict[str, object]:
    return {"dtype": kind, "shape": shape, "data_offsets": [start, end]}


for _name, _make in {
    "long header": _safetensors(b'{"a":' + b" " * (50 << 20) + b"1}"),
    "promised header": _safetensors({}, length=99_000_000),
    "endless header": _safetensors({}, length=1 << 62),
    "many tensors": _safetensors(b"{" + b",".join(b'"%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}' % at for at in range(20_000)) + b"}"),
    "much metadata": _safetensors(b'{"__metadata__":{' + b",".join(b'"%d":""' % at for at in range(400_000)) + b"}}"),
    "nested metadata": _safetensors({"__metadata__": {"config": "[" * 100_000}}),
    "nested header": _safetensors(b"[" * 1_000_000),
    "overlapping": _safetensors({str(at): described([1 << 18], 0, 1 << 20) for at in range(1000)}, bytes(1 << 20)),
    "huge shape": _safetensors({"a": described([1 << 62, 1 << 62], 0, 4)}, bytes(4)),
    "huge claim": _safetensors({"a": described([1 << 40], 0, 1 << 42)}, bytes(4)),
    "huge nothing": _safetensors({"a": described([0, 1 << 62], 0, 0)}),
    "negative": _safetensors({"a": described([-1], 0, 4)}, bytes(4)),
    "backwards": _safetensors({"a": described([1], 4, 0)}, bytes(4)),
    "twice": _safetensors(b'{"a":' + json.dumps(described([1], 0, 4)).encode() + b',"a":' + json.dumps(described([1], 0, 4)).encode() + b"}", bytes(4)),
    "no such type": _safetensors({"a": described([1], 0, 4, "X99")}, bytes(4)),
    "rare type": _safetensors({"a": described([4], 0, 3, "F6_E2M3")}, bytes(3)),
    "not a number": _safetensors({"a": described([1], 0, 4)}, b"\0\0\xc0\x7f"),
}.items():  # fmt: skip
    ZOO[f"{_name}.safetensors"] = _make
ZOO["strange metadata.safetensors"] = lambda path: path.write_bytes(
    save({"a": torch.ones(1)}, {"config": '{"a": 1e999}', "method": "[]"})
)


# --- arrays ---
for _name, _content in {
    "huge": npy("<f4", (10**12,)),
    "huge, of columns": npy("<f4", (10**6, 10**6), order=True),
    "objects": npy("|O", (1,)) + pickle.dumps([1]),
    "huge objects": npy("|O", (10**9,)) + pickle.dumps([1]),
    "wide type": npy(f"|V{BIG}", (1,)),
    "wide type of nothing": npy(f"|S{BIG}", (0,)),
    "negative": npy("<f4", (-1, -4)) + bytes(64),
    "text in it": npy("<f4", "x"),
    "true sides": npy("<f4", (True, 4)) + bytes(64),
    "long header": b"\x93NUMPY\2\0" + struct.pack("<I", 1 << 31) + b"{",
    "nested header": b"\x93NUMPY\1\0" + struct.pack("<H", 9000) + b"(" * 9000,
    "unknown version": npy("<f4", (1,), version=9),
    "fields": b"\x93NUMPY\1\0" + struct.pack("<H", 90) + b"{'descr': [('a', '<f4', (100000, 100000))], 'fortran_order': False, 'shape': (1,)}".ljust(89) + b"\n",
}.items():  # fmt: skip
    ZOO[f"{_name}.npy"] = lambda path, own=_content: path.write_bytes(own)
