"""Pictures of every format that is read, and of some that are not."""

# ruff: noqa: E501  (tables of files, a line each)

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from tests.unit.hostile.making import (
    BIG,
    ZOO,
    Make,
    hostile,
    zeros,
)


# --- pictures ---
def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png(width: int, height: int, depth: int, colour: int, *chunks: bytes, rows: bytes = b"") -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


def _flat(width: int, height: int, depth: int, colour: int) -> bytes:
    """A black PNG file, a thousandth of its pixels."""
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    size = height * (1 + width * samples * depth // 8)
    return _png(width, height, depth, colour, rows=b"\x78\x9c" + zeros(size + (1 << 20)) + bytes(4))


BOMB = b"\x78\x9c" + zeros(BIG // 4)
_ROWS = zlib.compress(bytes(65 * 64 * 3))
for _name, _content in {
    "huge": lambda: _png(1 << 30, 1 << 30, 8, 2),
    "large": lambda: _flat(9_900, 9_900, 8, 2),
    "large, grey": lambda: _flat(10_000, 10_000, 8, 0),
    "large, 16 bits": lambda: _flat(10_000, 10_000, 16, 6),
    "large, grey of 16 bits": lambda: _flat(10_000, 10_000, 16, 0),
    "largest of nothing, 16 bits": lambda: _flat(3_500, 3_400, 16, 6),
    "largest of nothing, grey of 16 bits": lambda: _flat(3_500, 3_400, 16, 0),
    "one bit": lambda: _flat(80_000, 10_000, 1, 0),
    "zTXt": lambda: _png(64, 64, 8, 2, *[_chunk(b"zTXt", b"a%d\0\0" % at + BOMB) for at in range(8)], rows=_ROWS),
    "iTXt": lambda: _png(64, 64, 8, 2, *[_chunk(b"iTXt", b"a%d\0\1\0\0\0" % at + BOMB) for at in range(8)], rows=_ROWS),
    "iCCP": lambda: _png(64, 64, 8, 2, _chunk(b"iCCP", b"a\0\0" + BOMB), rows=_ROWS),
    "late text": lambda: _png(64, 64, 8, 2, rows=_ROWS)[:-12] + _chunk(b"zTXt", b"a\0\0" + BOMB) + _chunk(b"IEND", b""),
    "rows of more": lambda: _png(64, 64, 8, 2, rows=BOMB),
    "frames": lambda: _png(64, 64, 8, 2, _chunk(b"acTL", struct.pack(">II", 1 << 31, 0)), rows=_ROWS),
    "exif": lambda: _png(64, 64, 8, 2, _chunk(b"eXIf", b"MM\0*\0\0\0\x08" + b"\xff" * 200), rows=_ROWS),
    "exif in a circle": lambda: _png(64, 64, 8, 2, _chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\1\x87\x69\0\4\0\0\0\1\0\0\0\x08\0\0\0\x08"), rows=_ROWS),
    "truncated": lambda: _flat(100, 100, 8, 2)[:60],
}.items():  # fmt: skip
    ZOO[f"{_name}.png"] = lambda path, own=_content: path.write_bytes(own())
for _suffix in (".eps", ".pdf", ".ps"):
    _programs = {".eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\nshowpage\n"}
    _programs |= {".pdf": b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\n%%EOF", ".ps": b"%!PS\nshowpage\n"}
    ZOO[f"called{_suffix}.png"] = lambda path, own=_programs[_suffix]: path.write_bytes(own)


def _drawn(side: int = 64) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (side, side, 3), np.uint8))


def saved(kind: str, **options: Any) -> Make:
    def make(path: Path) -> None:
        file = io.BytesIO()
        _drawn().save(file, kind, **options)
        path.write_bytes(file.getvalue())

    return make


_FRAMES = [Image.new("RGB", (64, 64), (at % 256, 0, 0)) for at in range(2000)]
for _suffix, _kind in {".png": "PNG", ".gif": "GIF", ".webp": "WEBP", ".tif": "TIFF"}.items():
    ZOO[f"frames{_suffix}"] = saved(_kind, save_all=True, append_images=_FRAMES)


@hostile("text.png")
def _text_chunks(path: Path) -> None:
    about = PngImagePlugin.PngInfo()
    for at in range(20_000):
        about.add_text(f"k{at}", "x" * 50)
    saved("PNG", pnginfo=about)(path)


@hostile("scans.jpg")
def _scans(path: Path) -> None:
    """A progressive file that goes over its pixels again and again."""
    file = io.BytesIO()
    Image.new("RGB", (3000, 3000)).save(file, "JPEG", progressive=True)
    content = file.getvalue()
    at = content.rfind(b"\xff\xda")
    path.write_bytes(content[:at] + content[at:-2] * 5000 + b"\xff\xd9")


@hostile("large.jpg")
def _large_jpeg(path: Path) -> None:
    file = io.BytesIO()
    Image.new("RGB", (64, 64)).save(file, "JPEG")
    content = bytearray(file.getvalue())
    at = content.find(b"\xff\xc0")
    struct.pack_into(">HH", content, at + 5, 9_900, 9_900)
    path.write_bytes(bytes(content))


@hostile("segments.jpg")
def _segments(path: Path) -> None:
    file = io.BytesIO()
    _drawn().save(file, "JPEG")
    content = file.getvalue()
    part = b"\xff\xe1" + struct.pack(">H", 65_535) + b"Exif\0\0" + bytes(65_527)
    path.write_bytes(content[:2] + part * 400 + content[2:])


def _tiff(*tags: tuple[int, int, int, int], body: bytes = b"") -> bytes:
    entries = b"".join(struct.pack("<HHLL", *tag) for tag in sorted(tags))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4) + body


_PLAIN = ((256, 4, 1, 64), (257, 4, 1, 64), (258, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1))
for _name, _content in {
    "tiles": _tiff(*_PLAIN, (259, 3, 1, 8), (322, 4, 1, 30_000), (323, 4, 1, 30_000), (324, 4, 1, 200), (325, 4, 1, 10**6), body=bytes(100) + b"\x78\x9c" + zeros(BIG // 2)),
    "plain tiles": _tiff(*_PLAIN, (259, 3, 1, 1), (322, 4, 1, 30_000), (323, 4, 1, 30_000), (324, 4, 1, 200), (325, 4, 1, 9 * 10**8)),
    "strip": _tiff(*_PLAIN, (259, 3, 1, 8), (278, 4, 1, 1 << 30), (273, 4, 1, 200), (279, 4, 1, 10**6), body=bytes(100) + b"\x78\x9c" + zeros(BIG // 2)),
    "samples": _tiff(*_PLAIN[:4], (259, 3, 1, 8), (277, 3, 1, 60_000), (273, 4, 1, 200), (279, 4, 1, 10)),
    "long tag": _tiff(*_PLAIN, (700, 1, BIG, 8), (273, 4, 1, 200), (279, 4, 1, 4096)),
    "circle": b"II*\0\x08\0\0\0\1\0" + struct.pack("<HHLL", 256, 4, 1, 64) + b"\x08\0\0\0",
}.items():  # fmt: skip
    ZOO[f"{_name}.tif"] = lambda path, own=_content: path.write_bytes(own)
for _name, _content in {
    "large.ppm": b"P6 9900 9900 255\n",
    "plain.ppm": b"P3 3000 3000 255\n" + b"1 " * 100,
    "wide.ppm": b"P5 3000 3000 65535\n",
    "floating.ppm": b"Pf\n3000 3000\n-1.0\n",
    "digits.ppm": b"P6 " + b"9" * 100_000,
    "large.bmp": b"BM" + struct.pack("<LLLLLLHHLLLLLL", 54, 0, 54, 40, 9_900, 9_900, 1, 24, 0, 0, 0, 0, 0, 0),
    "packed.bmp": b"BM" + struct.pack("<LLLLLLHHLLLLLL", 54, 0, 54, 40, 3_000, 3_000, 1, 8, 1, 0, 0, 0, 256, 0) + bytes(1100),
    "large.webp": b"RIFF" + struct.pack("<L", 30) + b"WEBPVP8X" + struct.pack("<L", 10) + bytes(4) + b"\xac\x26\0" * 2 + bytes(20),
}.items():  # fmt: skip
    ZOO[_name] = lambda path, own=_content: path.write_bytes(own)
