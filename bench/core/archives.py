"""Archives somebody downloaded: what is in them is counted and sized before anything is unpacked."""

from __future__ import annotations

import struct
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from bench.core.errors import MissingError

# Far above any archive of this field; a few hundred thousand names alone take seconds and hundreds of megabytes.
MOST_MEMBERS, LONGEST_NAME = 50_000, 1024
MOST_BYTES, MOST_RATIO = 8 << 30, 100
_DIRECTORY = 16 << 20
_END, _END_64, _LOCATOR = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"


def zip_members(path: Path, most_bytes: int = MOST_BYTES) -> list[zipfile.ZipInfo]:
    """The members of a zip file. Raises MissingError for a damaged one, and for more than an archive may have."""
    if directory_size(path) > _DIRECTORY:
        raise _refusal(path, f"more than {MOST_MEMBERS:,} members")
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as error:
        raise MissingError(f"{path}: a damaged archive ({error})", "download it again") from None
    _check(path, [(item.filename, item.file_size) for item in members], most_bytes)
    return members


def tar_members(path: Path, most_bytes: int = MOST_BYTES) -> list[tarfile.TarInfo]:
    """The members of a tar file, whatever packs it; read no further than to what no archive may have."""
    found: list[tarfile.TarInfo] = []
    total, most = 0, min(most_bytes, max(MOST_RATIO * path.stat().st_size, 1 << 20))
    try:
        with tarfile.open(path) as archive:
            while item := archive.next():
                total += max(item.size, 0)
                # The next header lies behind this member, which would have to be unpacked.
                _check(path, [(item.name, total)], most)
                if len(found) >= MOST_MEMBERS:
                    raise _refusal(path, f"more than {MOST_MEMBERS:,} members")
                found.append(item)
                archive.members = []  # type: ignore[attr-defined]
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise MissingError(f"{path}: a damaged archive ({error})", "download it again") from None
    return found


def directory_size(path: Path) -> int:
    """Bytes of a zip file's list of members, by its end; 0 where there is none."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - (1 << 16) - 64))
        tail = file.read()
        at = tail.rfind(_END)
        if at < 0 or len(tail) < at + 22:
            return 0
        (length,) = struct.unpack_from("<L", tail, at + 12)
        if length != 0xFFFFFFFF:
            return int(length)
        locator = tail[at - 20 : at]
        if not locator.startswith(_LOCATOR):
            return 0
        file.seek(min(size, struct.unpack_from("<Q", locator, 8)[0]))
        record = file.read(56)
    return int(struct.unpack_from("<Q", record, 40)[0]) if record.startswith(_END_64) and len(record) == 56 else 0


def _check(path: Path, members: Sequence[tuple[str, int]], most_bytes: int) -> None:
    if len(members) > MOST_MEMBERS:
        raise _refusal(path, f"more than {MOST_MEMBERS:,} members")
    if any(len(name) > LONGEST_NAME for name, _ in members):
        raise _refusal(path, f"a name of more than {LONGEST_NAME:,} letters")
    total, size = sum(size for _, size in members), max(path.stat().st_size, 1 << 14)
    if total > most_bytes or total > MOST_RATIO * size:
        raise _refusal(path, f"{total / 1e6:,.0f} MB once it is unpacked, of {size / 1e6:,.1f} MB")


def _refusal(path: Path, what: str) -> MissingError:
    return MissingError(f"{path} is no archive of ours: it holds {what}", "unpack it yourself, if you trust it")
