"""`weights fetch` and `weights verify`: licence shown once, mirrors, Google Drive, digests pinned at the first
fetch.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock

from bench.core.errors import MissingError, UsageError
from bench.core.files import read_object, write_atomic
from bench.weights.registry import Entry, entries, entry, find, folder_of, home, missing, read_pins
from bench.weights.transfer import (
    USUAL,
    Expected,
    Patience,
    Progress,
    RefusedError,
    digest_of,
    download,
    explain_page,
    finish,
)

Accept = Callable[[Entry], bool]


@dataclass(frozen=True)
class Verdict:
    """The state of one file: "ok", "missing", "damaged", "not released"; `detail` says more.

    `sha256` is the file's digest and `expected` the one it should have, whole or as far as it is known; "" for none.
    """

    name: str
    state: Literal["ok", "missing", "damaged", "not released"]
    detail: str
    sha256: str = ""
    expected: str = ""


def fetch(
    name: str,
    *,
    accept: Accept,
    progress: Progress | None = None,
    patience: Patience = USUAL,
) -> list[Path]:
    """Fetch an entry and what it needs; files already here are left alone.

    Args:
        name: Registry name.
        accept: Asked once a licence, unless it was accepted before; shows the terms and returns the user's answer.
        progress: Called with (bytes so far, total or None).
        patience: With each server.

    Returns:
        The paths, the entry's own first.

    Raises UsageError for an unknown name or a licence that was not accepted, MissingError when it cannot be had.
    """
    item = entry(name)
    path = find(item)
    if path is None:
        if item.status == "not released" or not item.fetchable:
            raise missing(item)
        _check_licence(item, accept)
        with _locked(item):
            path = find(item) or _fetch(item, progress, patience)
    others = [fetch(other, accept=accept, progress=progress, patience=patience) for other in item.needs]
    return [path, *(path for paths in others for path in paths)]


def verify(names: Iterable[str] = ()) -> list[Verdict]:
    """Hold files against their digests, the registry's or the one pinned at the first fetch; all of them by default."""
    chosen = [entry(name) for name in names] or list(entries().values())
    pins = read_pins()
    return [_verdict(item, pins.get(item.name)) for item in chosen]


def pin(item: Entry, path: Path, digest: str) -> None:
    """Remember digest and size of a file at its first arrival. Raises MissingError when another digest is pinned."""
    with _writing(home() / "pins.json") as pins:
        known = pins.get(item.name)
        if known and known["sha256"] != digest:
            fault = f"{item.name}: SHA-256 {digest[:16]}... differs from the first fetch's {known['sha256'][:16]}..."
            raise MissingError(fault, f"if you trust the new file, remove {item.name} from {home() / 'pins.json'}")
        pins[item.name] = {"sha256": digest, "size": path.stat().st_size}


def accepted(item: Entry) -> bool:
    """Was this licence accepted on this machine?"""
    path = home() / "accepted.json"
    try:
        return _terms(item) in read_object(path)
    except (OSError, ValueError):
        return False


def record_acceptance(item: Entry) -> None:
    """Remember that a licence was accepted; files under the same terms do not ask again."""
    with _writing(home() / "accepted.json") as known:
        known[_terms(item)] = {"licence": item.licence, "first": item.name}


def progress_bar(name: str) -> tuple[Progress, Callable[[], None]]:
    """A progress bar on stderr for one file: (report, close). It is drawn when the first bytes come, not before."""
    from tqdm import tqdm

    bars: list[Any] = []

    def report(done: int, total: int | None) -> None:
        if not bars:
            bars.append(tqdm(desc=name, unit="B", unit_scale=True, unit_divisor=1000, leave=False))
        bars[0].total = total
        bars[0].update(done - bars[0].n)

    def close() -> None:
        for bar in bars:
            bar.close()

    return report, close


def _check_licence(item: Entry, accept: Accept) -> None:
    if accepted(item):
        return
    if not accept(item):
        again = f"python run_bench.py weights fetch {item.name} --accept-licence"
        raise UsageError(f"{item.name} was not fetched: its licence was not accepted ({item.licence})", again)
    record_acceptance(item)


def _fetch(item: Entry, progress: Progress | None, patience: Patience) -> Path:
    target = folder_of(item) / item.file
    known = read_pins().get(item.name, {})
    expected = Expected(item.sha256 or known.get("sha256", ""), item.sha256_start, 0)
    reasons: list[str] = []
    if item.drive:
        try:
            digest = _from_drive(item, target, expected, progress)
            pin(item, target, digest)
            return target
        except RefusedError as error:
            reasons.append(f"Google Drive: {error}")
    if item.urls:
        try:
            digest = download(item.urls, target, expected, progress=progress, patience=patience)
            pin(item, target, digest)
            return target
        except MissingError as error:
            reasons.append(error.what)
    by_hand = f"https://drive.google.com/file/d/{item.drive}/view" if item.drive else item.urls[0]
    advice = f"open {by_hand} in a browser, then run: python run_bench.py weights fetch --from FOLDER"
    raise MissingError(f"{item.name} could not be fetched: {'; '.join(reasons)}", advice)


def _from_drive(item: Entry, target: Path, expected: Expected, progress: Progress | None) -> str:
    """Through gdown, which knows Drive's confirmation pages. Raises RefusedError with the reason."""
    try:
        gdown = importlib.import_module("gdown")
    except ImportError:
        raise RefusedError('needs the extra "fetch": pip install "warpres-bench[fetch]"') from None
    # A name of its own: gdown takes a file that is there for whole, and a mirror may have left a piece in ".part".
    part = target.with_name(target.name + ".drive.part")
    try:
        gdown.download(id=item.drive, output=str(part), quiet=True, resume=True, progress=progress)
    except Exception as error:  # gdown passes on the errors of several libraries
        raise RefusedError(_drive_reason(error)) from error
    if not part.exists():
        raise RefusedError("no file came")
    return finish(part, target, expected)


def _drive_reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    explained = explain_page(text)
    return explained if not explained.startswith("the server answered with a web page") else text[:200]


def _verdict(item: Entry, pinned: dict[str, Any] | None) -> Verdict:
    if item.status == "not released":
        return Verdict(item.name, "not released", item.note)
    path = find(item)
    if path is None:
        return Verdict(item.name, "missing", missing(item).next_step)
    if path.is_dir():
        wrong = [name for name, digest in item.members.items() if digest and digest_of(path / name) != digest]
        state: Literal["ok", "damaged"] = "damaged" if wrong else "ok"
        return Verdict(item.name, state, f"differ: {', '.join(wrong)}" if wrong else str(path))
    digest, known = digest_of(path), (item.sha256, item.sha256_start, (pinned or {}).get("sha256", ""))
    for wanted in known:
        if wanted and not digest.startswith(wanted):
            return Verdict(item.name, "damaged", f"{path}: SHA-256 {digest}, expected {wanted}", digest, wanted)
    return Verdict(item.name, "ok", str(path), digest, next((wanted for wanted in known if wanted), ""))


def _terms(item: Entry) -> str:
    return hashlib.sha256(item.licence.encode()).hexdigest()[:16]


@contextmanager
def _locked(item: Entry) -> Iterator[None]:
    """One process at a time fetches a file; the others find it there afterwards."""
    folder = folder_of(item)
    _make(folder)
    with FileLock(folder / ".lock"):
        yield


@contextmanager
def _writing(path: Path) -> Iterator[dict[str, Any]]:
    """Change a small JSON file: read, let the caller change it, replace it in one step."""
    _make(path.parent)
    with FileLock(path.with_name(f".{path.name}.lock")):
        try:
            content = read_object(path) if path.exists() else {}
        except (OSError, ValueError) as error:
            raise MissingError(f"{path} cannot be read ({error})", "remove it; it is written anew") from None
        yield content
        write_atomic(path, json.dumps(content, indent=1, sort_keys=True))


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(13, "Permission denied", str(folder))
    except OSError as error:
        advice = "choose another folder with WARPRES_BENCH_HOME"
        raise MissingError(f"{folder}: cannot be written ({error.strerror})", advice) from error
