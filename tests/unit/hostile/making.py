"""What hostile files are made with, each small on disk; `ZOO` knows them all by name."""

from __future__ import annotations

import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

BIG = 1 << 30
# Instructions that a pickle may have here, a quarter of what it may elsewhere: a file with more of them is read as far
# as that by every reader. The other pickles have fewer.
MOST_STEPS = 250_000
Make = Callable[[Path], object]
ZOO: dict[str, Make] = {}
# Files whose kind is the same whatever they are called.
_EVERY = (".pt", ".npy", ".safetensors", ".png", ".zip", ".json")


def hostile(*names: str) -> Callable[[Make], Make]:
    def added(make: Make) -> Make:
        ZOO.update(dict.fromkeys(names, make))
        return make

    return added


def every(stem: str, make: Make) -> None:
    ZOO.update({stem + suffix: make for suffix in _EVERY})


def zeros(size: int) -> bytes:
    """A deflate stream of so many zero bytes; a thousandth of them."""
    pack = zlib.compressobj(9, zlib.DEFLATED, -15)
    part = pack.compress(bytes(1 << 20)) + pack.flush(zlib.Z_FULL_FLUSH)
    return part * (size >> 20) + pack.flush()


def member(name: bytes, body: bytes, method: int, size: int, crc: int = 0) -> tuple[bytes, bytes]:
    """A member of a zip file and its entry in the list, without the place."""
    about = struct.pack("<HHHHHLLLHH", 20, 0, method, 0, 33, crc, len(body), size, len(name), 0)
    return b"PK\3\4" + about + name + body, b"PK\1\2" + struct.pack("<H", 20) + about + bytes(10)


def zip_of(path: Path, members: list[tuple[bytes, bytes, int, int]]) -> None:
    content, listed = bytearray(), bytearray()
    for name, body, method, size in members:
        local, entry = member(name, body, method, size)
        listed += entry + struct.pack("<L", len(content)) + name
        content += local
    end = struct.pack("<HHHHLLH", 0, 0, len(members) & 0xFFFF, len(members) & 0xFFFF, len(listed), len(content), 0)
    path.write_bytes(bytes(content + listed) + b"PK\5\6" + end)


def pickle_zip(path: Path, content: bytes, storages: int = 0) -> None:
    """PyTorch's container around a pickle of one's own."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/version", b"3\n")
        archive.writestr("archive/byteorder", b"little")
        archive.writestr("archive/data/0", bytes(storages))


def old_container(path: Path, content: bytes) -> None:
    """PyTorch's older container around a pickle of one's own."""
    about = [0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}]
    parts = [pickle.dumps(part, 2) for part in about]
    path.write_bytes(b"".join(parts) + content + pickle.dumps([], 2))


def both(name: str, content: bytes, storages: int = 0) -> None:
    """One pickle in either container, and as it is."""
    ZOO[f"{name}.pt"] = lambda path: pickle_zip(path, content, storages)
    ZOO[f"{name}, old.pt"] = lambda path: old_container(path, content)
    ZOO[f"{name}.pkl"] = lambda path: path.write_bytes(content)
    ZOO[f"{name} of objects.npy"] = lambda path: path.write_bytes(npy("|O", ()) + content)


def npy(kind: str, shape: Any, order: bool = False, version: int = 1) -> bytes:
    header = f"{{'descr': {kind!r}, 'fortran_order': {order}, 'shape': {shape!r}, }}".encode() + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(header)) + header
