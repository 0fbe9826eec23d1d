"""Writing files: whole or not at all, and a failed write explained."""

from __future__ import annotations

import errno
import os
import secrets
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


def part_of(path: Path) -> Path:
    """A name beside `path` for what is being written: no other process has it, in another container neither."""
    return path.with_name(f".{path.name[:80]}.{secrets.token_hex(8)}.part")


def write_atomic(path: Path, data: bytes | str, *, sync: bool = True) -> Path:
    """Put `data` (text as UTF-8) at `path` in one step: a reader sees the old file or the new one, never half of it.

    Without `sync` a power cut, not a kill, may leave an empty file.

    Raises:
        MissingError: The folder cannot be written, or the disk is full.
    """
    with explain_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = part_of(path)
        try:
            with part.open("wb") as stream:
                stream.write(data.encode() if isinstance(data, str) else data)
                stream.flush()
                if sync:
                    os.fsync(stream.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    return path
