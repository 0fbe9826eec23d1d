"""Fetching one file over HTTP: resumed after every cut, never spliced from two versions, and checked before it counts.

The file grows as `<name>.part` and takes its name only when whole. What a server says about length and type is
believed only as far as the bytes bear it out.
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import json
import re
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.core.archives import tar_members
from bench.core.errors import MissingError
from bench.core.files import read_object

Progress = Callable[[int, int | None], None]
CHUNK = 1 << 18
_QUOTA = ("quota exceeded", "too many users", "download quota", "exceeded the limit")
_SIGN_IN = ("sign in", "you need access", "request access", "permission denied")
_VIRUS = ("virus scan", "can't scan this file")


class RefusedError(Exception):
    """This address will not do, however often one asks; the reason is for people."""


class CutError(Exception):
    """The connection failed or ended early; asking again may help."""


@dataclass(frozen=True)
class Expected:
    """What is known of a file before it is fetched: digest, its first digits, and whether an archive must open.

    `size` is exact; 0 when unknown.
    """

    sha256: str = ""
    sha256_start: str = ""
    size: int = 0


@dataclass(frozen=True)
class Patience:
    """How long a server is asked for a file.

    Attributes:
        tries: Attempts a mirror without a single new byte before it is given up.
        wait: Seconds before the second attempt, doubled each time.
        timeout: Seconds of silence that count as a cut.
    """

    tries: int = 5
    wait: float = 1.0
    timeout: float = 30.0


USUAL = Patience()


def download(
    urls: Sequence[str],
    target: Path,
    expected: Expected,
    *,
    progress: Progress | None = None,
    patience: Patience = USUAL,
) -> str:
    """Fetch a file to `target` from the first of `urls` that gives it whole.

    Args:
        urls: Mirrors in order of preference.
        target: Final path; `target` + ".part" holds what has come so far and is resumed.
        expected: See `Expected`; a whole file that differs is thrown away.
        progress: Called with (bytes so far, total or None).
        patience: With each mirror.

    Returns:
        Hex SHA-256 of the file.

    Raises MissingError naming, for each mirror, why it failed.
    """
    part = target.with_name(target.name + ".part")
    reasons: list[str] = []
    for url in urls:
        try:
            _persist(url, part, progress, patience, expected)
            return finish(part, target, expected)
        except RefusedError as error:
            reasons.append(f"{url}: {error}")
    raise MissingError(f"{target.name} could not be fetched: " + "; ".join(reasons))


def finish(part: Path, target: Path, expected: Expected) -> str:
    """Check a whole `.part` file and give it its name; returns its SHA-256.

    Raises RefusedError, and removes the part, when it is a web page, a piece, or not the file expected.
    """
    found = digest_of(part)
    fault = _page_fault(part) or _mismatch(part, found, expected) or _broken_archive(part, target.name)
    if fault:
        _discard(part)
        raise RefusedError(fault)
    part.replace(target)
    _note_path(part).unlink(missing_ok=True)
    return found


def digest_of(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def explain_page(text: str) -> str:
    """What a web page that came instead of a file means."""
    words = re.sub(r"<[^>]+>", " ", text).lower()
    if any(phrase in words for phrase in _QUOTA):
        return (
            "the server's download quota for this file is used up: try again in a day, or copy the file to your own "
            "Drive, download it there and run `weights fetch --from DIR`"
        )
    if any(phrase in words for phrase in _VIRUS):
        return "the server answered with its virus-scan page instead of the file: open the address in a browser"
    if any(phrase in words for phrase in _SIGN_IN):
        return "the server wants a sign-in for this file: download it in a browser and run `weights fetch --from DIR`"
    title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
    named = f" ({' '.join(title.group(1).split())[:60]})" if title and title.group(1).strip() else ""
    return f"the server answered with a web page{named} instead of the file"


def _persist(url: str, part: Path, progress: Progress | None, patience: Patience, expected: Expected) -> None:
    """Ask until the file is whole; attempts that bring new bytes do not count."""
    idle = 0
    while True:
        before = _size(part)
        try:
            _attempt(url, part, progress, patience.timeout)
            return
        except CutError as error:
            # A server may promise more than the file has; the digest knows better.
            if _complete_anyway(part, expected):
                return
            idle = 0 if _size(part) > before else idle + 1
            if idle >= patience.tries:
                raise RefusedError(f"{error}; {_size(part)} bytes are kept and will be resumed") from error
            time.sleep(patience.wait * 2**idle if idle else 0)


def _attempt(url: str, part: Path, progress: Progress | None, timeout: float) -> None:
    start = _size(part)
    note = _read_note(part)
    if start and note.get("url") != url:
        # Two mirrors may hold different versions; half of one and half of the other would be neither.
        _discard(part)
        start, note = 0, {}
    request = urllib.request.Request(url, headers={"User-Agent": "warpres-bench", "Accept-Encoding": "identity"})
    if start:
        request.add_header("Range", f"bytes={start}-")
        if note.get("version"):
            request.add_header("If-Range", note["version"])
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            _receive(url, response, part, start, progress)
    except urllib.error.HTTPError as error:
        _http_fault(error, part, start)
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        if isinstance(error, OSError) and (error.filename or error.errno == errno.ENOSPC):
            raise _unwritable(error, part) from error
        raise CutError(f"the connection failed ({getattr(error, 'reason', None) or error})") from error


def _receive(url: str, response: http.client.HTTPResponse, part: Path, start: int, progress: Progress | None) -> None:
    if "text/html" in response.headers.get("Content-Type", ""):
        raise RefusedError(explain_page(response.read(1 << 16).decode("utf-8", "replace")))
    if start and not (response.status == 206 and _range_start(response) == start):
        start = 0
    length = response.headers.get("Content-Length", "")
    total = start + int(length) if length.isdigit() else None
    part.parent.mkdir(parents=True, exist_ok=True)
    _write_note(part, url, response)
    done = start
    with part.open("ab" if start else "wb") as file:
        try:
            while chunk := response.read(CHUNK):
                file.write(chunk)
                done += len(chunk)
                if progress:
                    progress(done, total)
        except http.client.IncompleteRead as error:
            file.write(error.partial)
            done += len(error.partial)
    if total is not None and done < total:
        raise CutError(f"the server promised {total} bytes and sent {done}")


def _http_fault(error: urllib.error.HTTPError, part: Path, start: int) -> None:
    """Raise for an HTTP error; return when it means that the file is already whole."""
    if error.code == 416 and start:
        size = re.fullmatch(r"bytes \*/(\d+)", error.headers.get("Content-Range", ""))
        if size and int(size.group(1)) == start:
            return
        _discard(part)
        raise CutError("the part already here does not belong to the server's file") from error
    reasons = {401: "wants a sign-in", 403: "refuses (403): no permission, or a quota", 404: "has no such file (404)"}
    if error.code in reasons or error.code == 410:
        body = error.read(1 << 16).decode("utf-8", "replace").lower()
        quota = any(phrase in body for phrase in _QUOTA)
        reason = explain_page(body) if quota else f"the server {reasons.get(error.code, 'has removed the file (410)')}"
        raise RefusedError(reason) from error
    raise CutError(f"the server answered {error.code} {error.reason}") from error


def _mismatch(part: Path, found: str, expected: Expected) -> str:
    size = _size(part)
    if expected.size and size != expected.size:
        return f"{size} bytes came, expected {expected.size}"
    wanted = expected.sha256 or expected.sha256_start
    if wanted and not found.startswith(wanted):
        return f"{size} bytes came with SHA-256 {found[:16]}..., expected {wanted[:16]}...: truncated, or another file"
    return "the file is empty" if not size else ""


def _complete_anyway(part: Path, expected: Expected) -> bool:
    if not (expected.sha256 or expected.sha256_start) or not _size(part):
        return False
    return not _mismatch(part, digest_of(part), expected)


def _page_fault(part: Path) -> str:
    with part.open("rb") as file:
        head = file.read(1 << 16)
    if head.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html")):
        return explain_page(head.decode("utf-8", "replace"))
    return ""


def _broken_archive(part: Path, name: str) -> str:
    """A fault when a zip (every newer .pt and .pth is one) or tar file has no end: the server gave only a piece."""
    with part.open("rb") as file:
        head = file.read(4)
    size = _size(part)
    if head == b"PK\x03\x04" and not zipfile.is_zipfile(part):
        return f"only a piece of the file came ({size} bytes): the archive has no end"
    if name.endswith((".tar.gz", ".tgz")) or head[:2] == b"\x1f\x8b":
        try:
            tar_members(part)
        except MissingError as error:
            return f"only a piece of the file came ({size} bytes): {error.what}"
    return ""


def _range_start(response: http.client.HTTPResponse) -> int:
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(found.group(1)) if found else -1


def _note_path(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _read_note(part: Path) -> dict[str, str]:
    try:
        return read_object(_note_path(part))
    except (OSError, ValueError):
        return {}


def _write_note(part: Path, url: str, response: http.client.HTTPResponse) -> None:
    """Remember which version the part belongs to, so that a changed file is never appended to it."""
    tag = response.headers.get("ETag", "")
    version = tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified", "")
    _note_path(part).write_text(json.dumps({"url": url, "version": version}), encoding="utf-8")


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _note_path(part).unlink(missing_ok=True)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _unwritable(error: OSError, part: Path) -> MissingError:
    advice = "choose another folder with WARPRES_BENCH_HOME"
    return MissingError(f"{error.filename or part}: cannot be written ({error.strerror})", advice)
