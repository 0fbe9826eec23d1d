"""Archives somebody downloaded: what is in them is counted and sized before anything is unpacked."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from bench.core.errors import MissingError
from bench.core.files import regular_size

# Far above any archive of this field, unless its size says that there is something in its members; a few hundred
# thousand names alone take seconds and hundreds of megabytes.
MOST_MEMBERS, LONGEST_NAME = 50_000, 1024
_SMALLEST_MEMBER = 2048
MOST_BYTES, MOST_RATIO = 8 << 30, 100
# Bytes that a member takes in a zip file's list.
_LISTED = 128
_END, _END_64, _LOCATOR = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
# The others unpack a piece of any size at once.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_PACKED = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
# Bytes that are read at once: in a tar file no name or description of the next member is longer.
_LONGEST_READ = 1 << 20
_DAMAGED = (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, ValueError, RuntimeError, NotImplementedError)
_FAULTS = (*_DAMAGED, struct.error, zlib.error, lzma.LZMAError)


def zip_members(path: Path, most_bytes: int = MOST_BYTES) -> list[zipfile.ZipInfo]:
    """The members of a zip file. Raises MissingError for a damaged one, and for more than an archive may have."""
    with _explained(path):
        size = regular_size(path)
        if directory_size(path) > _LISTED * _most_members(size):
            raise _refusal(path, f"more than {_most_members(size):,} members")
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
        if any(item.compress_type not in _METHODS for item in members):
            raise _refusal(path, "members packed in a way that is hardly used")
        _check(path, [(item.filename, item.file_size) for item in members], most_bytes)
        return members


def read_member(archive: zipfile.ZipFile, item: zipfile.ZipInfo, most: int) -> bytes:
    """Bytes of one member.

    Raises BadZipFile: it is damaged, encrypted, or has more than `most` bytes, or than it says.
    """
    if item.file_size > most:
        raise zipfile.BadZipFile(f"{item.filename} has {item.file_size:,} bytes, more than it may have")
    try:
        with archive.open(item) as file:
            # Read at once, all of it would be unpacked, whatever size it says that it has.
            return b"".join(iter(lambda: file.read(_LONGEST_READ), b""))
    except _FAULTS as error:
        raise zipfile.BadZipFile(f"{item.filename} is damaged ({error})") from None


def tar_members(path: Path, most_bytes: int = MOST_BYTES) -> list[tarfile.TarInfo]:
    """The members of a tar file, whatever packs it; read no further than to what no archive may have.

    Raises MissingError as `zip_members`.
    """
    found: list[tarfile.TarInfo] = []
    with _explained(path):
        size = regular_size(path)
        total, most = 0, min(most_bytes, max(MOST_RATIO * size, 1 << 20))
        with open_tar(path) as archive:
            while item := archive.next():
                total += max(item.size, 0)
                # The next header lies behind this member, which would have to be unpacked.
                _check(path, [(item.name, total)], most)
                if len(found) >= _most_members(size):
                    raise _refusal(path, f"more than {_most_members(size):,} members")
                found.append(item)
                archive.members = []  # type: ignore[attr-defined]
    return found


def read_tar_member(archive: tarfile.TarFile, item: tarfile.TarInfo, most: int) -> bytes:
    """Bytes of one regular member of a tar file. Raises TarError where it is none, or has more than `most` bytes."""
    file = archive.extractfile(item)
    if file is None or item.size > most:
        raise tarfile.ReadError(f"{item.name} is no file of at most {most:,} bytes")
    return b"".join(iter(lambda: file.read(_LONGEST_READ), b""))


@contextmanager
def open_tar(path: Path) -> Iterator[tarfile.TarFile]:
    """A tar file, packed or not, of which nothing large is read at once."""
    with path.open("rb") as file:
        head = file.read(8)
        file.seek(0)
        unpack = next((unpack for start, unpack in _PACKED.items() if head.startswith(start)), None)
        stream: Any = _Pieces(unpack(file) if unpack else file)  # type: ignore[operator]
        with tarfile.open(fileobj=stream, mode="r:") as archive:
            yield archive


class _Pieces:
    """A stream read by pieces: a header of a tar file that claims gigabytes would be unpacked at once."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream, self.seek, self.tell = stream, stream.seek, stream.tell

    def read(self, size: int = -1) -> bytes:
        """Bytes, no more than a piece."""
        if not 0 <= size <= _LONGEST_READ:
            raise tarfile.ReadError("it holds a header of more than a megabyte")
        return self.stream.read(size)


def directory_size(path: Path) -> int:
    """Bytes of a zip file's list of members, by its end; 0 where there is none."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        start = max(0, size - (1 << 16) - 64)
        file.seek(start)
        tail = file.read()
        # Where the end is looked for differs between readers: the one without a comment, else the last.
        plain = len(tail) - 22
        at = plain if plain >= 0 and tail.startswith(_END, plain) else tail.rfind(_END, 0, max(0, plain) + 4)
        if at < 0 or len(tail) < at + 22:
            return 0
        length = int(struct.unpack_from("<L", tail, at + 12)[0])
        locator = tail[max(0, at - 20) : at]
        if not locator.startswith(_LOCATOR):
            return length
        lengths = [length if length != 0xFFFFFFFF else 0]
        for place in (struct.unpack_from("<Q", locator, 8)[0], start + at - 20 - 56):
            file.seek(min(size, max(0, place)))
            record = file.read(56)
            if record.startswith(_END_64) and len(record) == 56:
                lengths.append(int(struct.unpack_from("<Q", record, 40)[0]))
    return max(lengths)


def _most_members(size: int) -> int:
    return MOST_MEMBERS + size // _SMALLEST_MEMBER


def _check(path: Path, members: Sequence[tuple[str, int]], most_bytes: int) -> None:
    size = path.stat().st_size
    if len(members) > _most_members(size):
        raise _refusal(path, f"more than {_most_members(size):,} members")
    if any(len(name) > LONGEST_NAME for name, _ in members):
        raise _refusal(path, f"a name of more than {LONGEST_NAME:,} letters")
    total, size = sum(size for _, size in members), max(size, 1 << 14)
    if total > most_bytes or total > MOST_RATIO * size:
        raise _refusal(path, f"{total / 1e6:,.0f} MB once it is unpacked, of {size / 1e6:,.1f} MB")


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except _FAULTS as error:
        raise MissingError(f"{path}: a damaged archive ({error})", "download it again") from None


def _refusal(path: Path, what: str) -> MissingError:
    return MissingError(f"{path} is no archive of ours: it holds {what}", "unpack it yourself, if you trust it")
