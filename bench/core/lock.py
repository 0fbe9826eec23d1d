"""One process at a time for a file: advisory locks, on every system and on file systems that have none."""

from __future__ import annotations

import errno
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

_WITHOUT = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL)


class Held(Exception):  # noqa: N818  (an answer, not an error)
    """Another process holds the lock."""


def hold(path: Path, patience: float = 0.0, say: Callable[[str], None] | None = None) -> Callable[[], None]:
    """Take the lock at `path`, waiting `patience` seconds for it; returns what releases it.

    Where the file system has no locks, work goes on with a file that names the holder, or without any, and `say` is
    told what is lost, once a folder.

    Raises:
        Held: Another process has it.
        OSError: The file cannot be made.
    """
    lock = FileLock(path, thread_local=False)
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            lock.acquire(timeout=patience, poll_interval=0.05)
    except Timeout:
        raise Held(str(path)) from None
    except (NotImplementedError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in _WITHOUT:
            raise
        _without(path, say)
        return lambda: None
    if warned:
        _without(path, say)
    return lock.release


_told: set[Path] = set()


def _without(path: Path, say: Callable[[str], None] | None) -> None:
    if path.parent in _told:
        return
    _told.add(path.parent)
    text = (
        f"note: the file system of {path.parent} has no locks: a second run on this folder at the same time is not "
        "noticed everywhere; it would do work twice, and what both write at once is damaged, which checksums find "
        "and the next run makes again"
    )
    if say is None:
        print(text, file=sys.stderr, flush=True)
    else:
        say(text)
