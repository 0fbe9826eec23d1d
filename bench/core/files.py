"""Writing files: whole or not at all, and a failed write explained."""

from __future__ import annotations

import errno
import os
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


def write_atomic(path: Path, data: bytes | str) -> Path:
    """Put `data` (text as UTF-8) at `path` in one step: a reader sees the old file or the new one, never half of it.

    Raises:
        MissingError: The folder cannot be written, or the disk is full.
    """
    with explain_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with part.open("wb") as stream:
                stream.write(data.encode() if isinstance(data, str) else data)
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    return path
