"""Text of every kind that is read, and other programs' files."""

# ruff: noqa: E501  (tables of files, a line each)

from __future__ import annotations

import struct

from tests.unit.hostile.making import (
    BIG,
    ZOO,
)
from tests.unit.hostile.pictures import BOMB

# --- text ---
_MB = 1 << 20
for _name, _content in {
    "lines.csv": lambda: b"name,a\n" + b"\n" * 600_000,
    "rows.csv": lambda: b"sample,a\n" + b"0,1\n" * 600_000,
    "commas.csv": lambda: b"name,a\n" + b"," * (20 * _MB),
    "quote.csv": lambda: b'name,a\n"' + b"x" * (20 * _MB),
    "annotations.txt": lambda: b"Smiling\n" + b"".join(b"%d 1\n" % at for at in range(600_000)),
    "numbers.txt": lambda: b"9" * 6000 + b".jpg 1\n",
    "latin.csv": lambda: b"name,Smiling\n\xe9.jpg,1\n",
    "wide.csv": lambda: b"name," + b"a" * (8 * _MB) + "\U0001f600".encode(),
    "nested.toml": lambda: b"a = " + b"[" * 100_000,
    "tables.toml": lambda: b"".join(b"[a%d.b.c.d]\n" % at for at in range(35_000)),
    "pairs.toml": lambda: b"".join(b"a%d=1\n" % at for at in range(50_000)),
    "keys.toml": lambda: b".".join(b"a%d" % at for at in range(100_000)) + b" = 1",
    "digits.toml": lambda: b"a = " + b"9" * 100_000,
    "large.toml": lambda: b"a = '" + b"x" * (300 * _MB) + b"'",
    "control.toml": lambda: b'name = "a\\u0000b"\n',
    "nested.json": lambda: b"[" * 1_000_000,
    "nested object.json": lambda: b'{"a":' * 990 + b"1" + b"}" * 990,
    "lists.json": lambda: b"[" + b"[]," * (7 * _MB) + b"[]]",
    "objects.json": lambda: b"{" + b",".join(b'"%x":{}' % at for at in range(2 * _MB)) + b"}",
    "numbers.json": lambda: b'{"labels": [["a.jpg", [' + b"1," * (10 * _MB) + b"1]]]}",
    "digits.json": lambda: b"9" * 100_000,
    "list.json": lambda: b"[1, 2]",
    "nan.json": lambda: b'{"labels": [["a", [NaN]]], "a": Infinity}',
    "text.json": lambda: b'"' + b"x" * (20 * _MB) + b'"',
    "damage.jsonl": lambda: b"x\n" * 600_000,
    "heads.jsonl": lambda: b'{"sum": "' * 100_000,
    "one line.jsonl": lambda: b"x" * (40 * _MB),
}.items():
    ZOO[_name] = lambda path, own=_content: path.write_bytes(own())


# --- other programs' files ---
def _mat(*elements: bytes) -> bytes:
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM" + b"".join(elements)


def _varint(value: int) -> bytes:
    found = b""
    while value > 127:
        found, value = found + bytes([value & 127 | 128]), value >> 7
    return found + bytes([value])


def _field(number: int, body: bytes | int) -> bytes:
    if isinstance(body, int):
        return _varint(number << 3) + _varint(body)
    return _varint(number << 3 | 2) + _varint(len(body)) + body


def _onnx(operator: bytes, size: int) -> bytes:
    """A model that makes a tensor of that many numbers of one."""
    shape = _field(1, 1) + _field(2, 7) + _field(7, _varint(size)) + _field(8, b"n")
    node = _field(1, b"n") + _field(2, b"out") + _field(4, operator)
    out = _field(1, b"out") + _field(2, _field(1, _field(1, 1)))
    graph = _field(1, node) + _field(2, b"g") + _field(5, shape) + _field(12, out)
    return _field(1, 8) + _field(7, graph) + _field(8, _field(2, 13))


for _name, _content in {
    "bomb.mat": lambda: _mat(struct.pack("<LL", 15, len(BOMB)) + BOMB),
    "bombs.mat": lambda: _mat(*[struct.pack("<LL", 15, len(BOMB)) + BOMB] * 8),
    "many.mat": lambda: _mat(struct.pack("<LL", 14, 0) * 1_000_000),
    "huge cell.mat": lambda: _mat(struct.pack("<LLLLLLLLLLLLLL", 14, 48, 6, 8, 1, 0, 5, 8, 1 << 30, 1, 1, 0, 0, 0)),
    "huge numbers.mat": lambda: _mat(struct.pack("<LLLLLLLLLLLLLLLL", 14, 56, 6, 8, 6, 0, 5, 8, 1 << 30, 1, 1, 0, 9, 0, 0, 0)),
    "made.onnx": lambda: _onnx(b"ConstantOfShape", BIG),
    "huge claim.onnx": lambda: _field(1, 8) + _varint(7 << 3 | 2) + _varint(1 << 31) + b"x",
}.items():  # fmt: skip
    ZOO[_name] = lambda path, own=_content: path.write_bytes(own())
