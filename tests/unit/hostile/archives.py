"""Zip and tar files that unpack to far more, or say what is not so."""

from __future__ import annotations

import bz2
import lzma
import pickle
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

from tests.unit.hostile.making import (
    BIG,
    ZOO,
    hostile,
    member,
    zeros,
    zip_of,
)

# --- archives ---
CONTENT = pickle.dumps({"a": 1}, 2)
_NAMES = ("archive/data.pkl", "archive/data/0", "pnet.npy", "det_x.onnx", "a.png", "b.jpg")
for _suffix in (".zip", ".pt", ".npz"):
    ZOO[f"one bomb{_suffix}"] = lambda path: zip_of(path, [(name.encode(), zeros(BIG), 8, BIG) for name in _NAMES[:1]])
    ZOO[f"bombs{_suffix}"] = lambda path: zip_of(
        path, [(name.encode(), zeros(BIG // 4), 8, BIG // 4) for name in _NAMES]
    )
    ZOO[f"lies{_suffix}"] = lambda path: zip_of(path, [(name.encode(), zeros(BIG // 4), 8, 100) for name in _NAMES])
    ZOO[f"lies of more{_suffix}"] = lambda path: zip_of(path, [(name.encode(), b"abc", 0, 1 << 31) for name in _NAMES])
    ZOO[f"bzip2{_suffix}"] = lambda path: _packed(path, zipfile.ZIP_BZIP2)
    ZOO[f"lzma{_suffix}"] = lambda path: _packed(path, zipfile.ZIP_LZMA)
    ZOO[f"encrypted{_suffix}"] = lambda path: _encrypted(path)
    ZOO[f"overlapping{_suffix}"] = lambda path: _overlapping(path)


def _packed(path: Path, method: int) -> None:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name in _NAMES:
            with archive.open(name, "w") as member:
                for _ in range(16):
                    member.write(bytes(1 << 20))


def _encrypted(path: Path) -> None:
    zip_of(path, [(name.encode(), b"x" * 100, 0, 100) for name in _NAMES])
    content = bytearray(path.read_bytes())
    at = content.find(b"PK\1\2")
    content[6] = content[at + 8] = 1
    path.write_bytes(bytes(content))


def _overlapping(path: Path) -> None:
    """Thousands of entries of one member."""
    body = zeros(64 << 20)
    local, entry = member(b"archive/data.pkl", body, 8, 64 << 20)
    listed = b"".join(entry + bytes(4) + b"archive/data.pkl" for _ in range(5000))
    end = struct.pack("<HHHHLLH", 0, 0, 5000, 5000, len(listed), len(local), 0)
    path.write_bytes(local + listed + b"PK\5\6" + end)


@hostile("many empty.pt")
def _many_empty(path: Path) -> None:
    zip_of(path, [(b"%d.png" % at, b"", 0, 0) for at in range(1_000_000)])


@hostile("twice.pt")
def _twice(path: Path) -> None:
    zip_of(path, [(name, CONTENT, 0, len(CONTENT)) for name in (b"archive/data.pkl", b"archive/DATA.pkl")])


@hostile("long name.zip")
def _long_name(path: Path) -> None:
    zip_of(path, [(b"x" * 60_000 + b".png", b"", 0, 0)] * 100)


def _tar(headers: list[tuple[str, int, bytes]], body: int) -> bytes:
    content = b""
    for name, size, kind in headers:
        about = tarfile.TarInfo(name)
        about.size, about.type = size, kind
        content += about.tobuf(tarfile.GNU_FORMAT)
    return content + bytes(body)


for _label, _headers in {
    "tar": [("pnet.npy", BIG // 4, tarfile.REGTYPE)],
    "tar of a long name": [("x", BIG // 4, tarfile.GNUTYPE_LONGNAME)],
    "tar of pax": [("x", BIG // 4, tarfile.XHDTYPE)],
    "tar of sparse": [("x", BIG // 4, tarfile.GNUTYPE_SPARSE)],
}.items():
    _whole = (_label, _headers)
    ZOO[f"{_label}.tar.gz"] = lambda path, own=_whole: path.write_bytes(_gzipped(_tar(own[1], 0), BIG // 4))
    ZOO[f"{_label}.tgz"] = lambda path, own=_whole: path.write_bytes(bz2.compress(_tar(own[1], 64 << 20)))
    ZOO[f"{_label}.tar"] = lambda path, own=_whole: path.write_bytes(_tar(own[1], 1 << 12))
    ZOO[f"{_label}.gz"] = lambda path, own=_whole: path.write_bytes(lzma.compress(_tar(own[1], 64 << 20), preset=0))


def _gzipped(head: bytes, more: int) -> bytes:
    pack = zlib.compressobj(1, zlib.DEFLATED, -15)
    start = pack.compress(head) + pack.flush(zlib.Z_FULL_FLUSH)
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + start + zeros(more) + bytes(8)
