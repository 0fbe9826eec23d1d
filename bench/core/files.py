"""Files: text read as people have it, writing whole or not at all, and a failure of either explained."""

from __future__ import annotations

import errno
import json
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.core.errors import MissingError, UsageError


@contextmanager
def explain_write_errors(where: Path, option: str = "") -> Iterator[None]:
    """Turn a full disk or a missing permission into an error a user can act on; `option` names another place."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise MissingError(
                f"the disk is full: {where}", "free some space and run the same command again; it carries on"
            ) from None
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            elsewhere = f"choose another folder{f' with {option}' if option else ''}"
            raise MissingError(f"cannot write to {where}: {error.strerror}", elsewhere) from None
        raise MissingError(f"cannot write to {where}: {error.strerror}", "check the disk, then run it again") from None


def check_folder(folder: Path, option: str) -> None:
    """Raise UsageError where nothing could be written into a folder, which need not be there yet; `option` names it."""
    nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not nearest.is_dir():
        raise UsageError(f"{option} {folder}: {nearest} is no folder", f"choose another folder with {option}")
    if not os.access(nearest, os.W_OK):
        raise UsageError(f"{option} {folder}: cannot write to {nearest}", f"choose another folder with {option}")


def check_file(file: Path, option: str) -> None:
    """Raise UsageError where a file could not be written, as `check_folder`."""
    if file.is_dir():
        raise UsageError(f"{option} {file}: is a folder", f"name a file with {option}")
    check_folder(file.parent, option)


_MOST_HOLES = 256 << 20
# Far above any card, label or annotation file (CelebA's own have 27 MB); CelebA has 200,000 rows.
_MOST_TEXT, _MOST_LINES, _LONGEST_LINE = 32 << 20, 500_000, 1 << 16
# EG3D's cameras of all of FFHQ have 40 MB.
_MOST_JSON = 256 << 20


def regular_size(path: Path) -> int:
    """Bytes of a regular file.

    Raises OSError for any other thing, a pipe or a device included: those may never end. A large file of holes, which
    takes no place on the disk, ends as late.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        folder = stat.S_ISDIR(status.st_mode)
        raise OSError(errno.EISDIR if folder else errno.EINVAL, "is a folder" if folder else "is no regular file")
    if status.st_size > _MOST_HOLES < status.st_size - 16 * 512 * getattr(status, "st_blocks", 1 << 60):
        _refuse_holes(path, status.st_size)
    return status.st_size


def _refuse_holes(path: Path, size: int) -> None:
    """Some systems count no blocks at all; those know of no holes either."""
    with path.open("rb") as file:
        if os.lseek(file.fileno(), 0, os.SEEK_HOLE) < size:
            why = f"has {size / 1e9:.1f} GB, nearly all of them holes: a download that did not finish"
            raise OSError(errno.EINVAL, why)


def read_text(path: Path, most: int = _MOST_TEXT) -> str:
    """A text file somebody wrote: UTF-8, with or without a byte order mark.

    Raises:
        OSError: It cannot be read, is no regular file, or has more than `most` bytes.
        UnicodeDecodeError: It is not UTF-8.
    """
    _check_size(path, most)
    return path.read_text(encoding="utf-8-sig")


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines of a text file by number, one at a time.

    Raises as `read_text`, and OSError for too many lines or too long ones.
    """
    _check_size(path, _MOST_TEXT)
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if number > _MOST_LINES:
                raise OSError(errno.EFBIG, f"has more than {_MOST_LINES:,} lines")
            if len(line) > _LONGEST_LINE:
                raise OSError(errno.EFBIG, f"has a line of more than {_LONGEST_LINE:,} letters")
            yield number, line


def read_json(path: Path, most: int = _MOST_JSON, parse_constant: Callable[[str], object] | None = None) -> Any:  # noqa: ANN401  (as JSON is)
    """What a JSON file holds; `parse_constant` is called with NaN and the infinities, which are not JSON.

    Raises:
        OSError: It cannot be read, is no regular file, or has more than `most` bytes.
        ValueError: It is no JSON, not UTF-8, nests too deeply, or is of far more values than bytes.
    """
    size = _check_size(path, most)
    content = path.read_bytes()
    # A value is one byte on disk and a hundred in memory; in texts as well, these letters are rare.
    if sum(map(content.count, (b",", b"[", b"{"))) > 500_000 + size // 8:
        raise ValueError("it has far more values than a file of its size")
    try:
        return json.loads(content.decode("utf-8-sig"), parse_constant=parse_constant)
    except RecursionError:
        raise ValueError("it nests too deeply") from None


def read_object(path: Path) -> dict[str, Any]:
    """The object that a JSON file holds. Raises as `read_json`, and ValueError where it holds anything else."""
    content = read_json(path)
    if not isinstance(content, dict):
        raise ValueError(f"it holds {type(content).__name__}, not an object")
    return content


def _check_size(path: Path, most: int) -> int:
    if (size := regular_size(path)) > most:
        raise OSError(errno.EFBIG, f"has {size / 1e6:,.0f} MB, more than such a file may have")
    return size


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
