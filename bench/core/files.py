"""Files: text read as people have it, writing whole or not at all, and a failure of either explained."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.core.errors import MissingError


@contextmanager
def explain_write_errors(where: Path) -> Iterator[None]:
    """Turn a full disk or a missing permission into an error a user can act on."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise MissingError(
                f"the disk is full: {where}", "free some space and run the same command again; it carries on"
            ) from None
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise MissingError(
                f"cannot write to {where}: {error.strerror}", "choose another folder with --output"
            ) from None
        raise MissingError(f"cannot write to {where}: {error.strerror}", "check the disk, then run it again") from None


# Far above any configuration, card, label or annotation file (CelebA's own have 30 MB).
_MOST_TEXT = 256 << 20


def regular_size(path: Path) -> int:
    """Bytes of a regular file. Raises OSError for any other thing, a pipe or a device included: those may never end."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        folder = stat.S_ISDIR(status.st_mode)
        raise OSError(errno.EISDIR if folder else errno.EINVAL, "is a folder" if folder else "is no regular file")
    return status.st_size


def read_text(path: Path) -> str:
    """A text file somebody wrote: UTF-8, with or without a byte order mark.

    Raises:
        OSError: It cannot be read, is no regular file, or larger than text may be.
        UnicodeDecodeError: It is not UTF-8.
    """
    if (size := regular_size(path)) > _MOST_TEXT:
        raise OSError(errno.EFBIG, f"has {size / 1e6:.0f} MB, more than a text file may have")
    return path.read_text(encoding="utf-8-sig")


def part_of(path: Path) -> Path:
    """A name beside `path` for what is being written: no other process has it, in another container neither."""
    return path.with_name(f".{path.name[:80]}.{secrets.token_hex(8)}.part")


@contextmanager
def replacing(path: Path, *, sync: bool = True) -> Iterator[Path]:
    """Give a name to write to, and put what lies there at `path` in one step when all went well.

    Without `sync` a power cut, not a kill, may leave an empty file.

    Raises:
        MissingError: The folder cannot be written, or the disk is full.
    """
    with explain_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = part_of(path)
        try:
            yield part
            if sync:
                with part.open("rb+") as stream:
                    os.fsync(stream.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def write_atomic(path: Path, data: bytes | str, *, sync: bool = True) -> Path:
    """Put `data` (text as UTF-8) at `path` in one step: a reader sees the old file or the new one, never half of it.

    Raises MissingError as `replacing`.
    """
    with replacing(path, sync=sync) as part:
        part.write_bytes(data.encode() if isinstance(data, str) else data)
    return path
