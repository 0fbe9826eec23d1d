"""What runs take on disk, and what of it nobody would use: rows of old code, and what was set aside.

A row is stale when no run's manifest beside it reads it, and its method or its protocol is there in another version:
what made it has changed since, so no plan asks for it again. Rows that a report merely does not show at the moment (a
method left out, fewer images) are kept: the next run with them would use them.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.core.errors import MissingError
from bench.core.files import explain_write_errors
from bench.core.lock import Held, hold
from bench.results.features import FROM, FeatureFiles, record_size, rows_folder
from bench.results.manifest import read_manifest
from bench.results.reading import scan
from bench.results.row import REAL_DIGESTS, Row
from bench.results.store import ShardWriter, repair, rewrite_lines

_KEPT = "-kept-"
_AT_A_TIME = 500
# A part file that old belongs to no process that lives.
_OLD_SECONDS = 3600.0


@dataclass(frozen=True)
class Use:
    """What one run takes.

    Attributes:
        run: Its folder.
        bytes: All of it; files that other runs have too are counted in each.
        shared: Bytes of those.
        rows, features: Rows, and bytes of their features.
        unshown: Rows that its report does not show now, and a later run may use.
        stale: Rows that nobody would use.
        leftover: Bytes of lines that were set aside and of files that a kill left half written.
        note: Why nothing can be said of its rows; else empty.
    """

    run: Path
    bytes: int
    shared: int
    rows: int
    features: int
    unshown: int
    stale: int
    leftover: int
    note: str = ""


class Versions:
    """Which versions of methods and protocols the manifests below a folder read."""

    def __init__(self, manifests: Sequence[Mapping[str, Any]]) -> None:
        self._methods: dict[str, set[str]] = {name: {digest} for name, digest in REAL_DIGESTS.items()}
        self._protocols: dict[str, set[str]] = {}
        for manifest in manifests:
            for name, about in manifest["protocols"].items():
                self._protocols.setdefault(name, set()).add(about["digest"])
            for name, about in manifest["methods"].items():
                if about.get("digest"):
                    self._methods.setdefault(name, set()).add(about["digest"])

    def stale(self, row: Row) -> bool:
        """Whether the row's method or protocol is there in other versions alone."""
        methods, protocols = self._methods.get(row.method), self._protocols.get(row.protocol)
        old_method = methods is not None and row.method_digest not in methods
        return old_method or (protocols is not None and row.protocol_digest not in protocols)


def runs_in(output: Path) -> list[Path]:
    """Folders below `output` that hold rows."""
    return [path.parent for path in sorted(output.glob("*/rows")) if path.is_dir()]


def versions_in(output: Path) -> Versions:
    """The versions that runs below `output` read. Damaged manifests read none."""
    found = []
    for run in runs_in(output):
        with contextlib.suppress(MissingError):
            found.append(read_manifest(run))
    return Versions(found)


def use_of(run: Path, versions: Versions) -> Use:
    """What a run takes on disk."""
    files = [path for path in run.rglob("*") if path.is_file()]
    sizes = {path: path.stat() for path in files}
    features = sum(size.st_size for path, size in sizes.items() if path.suffix == ".f32")
    whole = sum(size.st_size for size in sizes.values())
    shared = sum(size.st_size for size in sizes.values() if size.st_nlink > 1)
    rows = scan(run).rows
    leftover = sum(sizes[path].st_size for path in _leftovers(run))
    try:
        shown = {row.key for row in scan(run, read_manifest(run)).rows}
    except MissingError as error:
        return Use(run, whole, shared, len(rows), features, len(rows), 0, leftover, error.what)
    stale = sum(versions.stale(row) for row in rows if row.key not in shown)
    return Use(run, whole, shared, len(rows), features, len(rows) - len(shown) - stale, stale, leftover)


def prune(run: Path, versions: Versions) -> list[str]:
    """Remove a run's stale rows, their features and what was set aside; returns what could not be, a sentence each.

    Rows that stay are never in fewer than one place: a kill leaves some twice, which every reader takes once.
    """
    try:
        shown = {row.key for row in scan(run, read_manifest(run)).rows}
    except MissingError as error:
        return [f"{error.what}: its rows are left alone"]
    repair(run)
    said = []
    for path in sorted(rows_folder(run).glob("*.jsonl")):
        try:
            release = hold(path.with_suffix(".lock"), say=lambda _: None)
        except Held:
            said.append(f"{path}: another process is writing it")
            continue
        try:
            with explain_write_errors(path):
                _prune_shard(run, path, lambda row: row.key not in shown and versions.stale(row))
        finally:
            release()
    for file in _leftovers(run):
        file.unlink(missing_ok=True)
    return said


def _prune_shard(run: Path, path: Path, stale: Callable[[Row], bool]) -> None:
    shard = path.stem
    rows = [row for row in scan(run).rows if row.shard == shard]
    kept = [row for row in rows if not stale(row)]
    if len(kept) == len(rows):
        return
    files = FeatureFiles(rows_folder(run), shard)
    used: dict[Path, set[int]] = {file: set() for file in files}
    for row in kept:
        for metric, index in row.features.items():
            if (file := files.file(row, metric)) is not None:
                used[file].add(index)
    holes = [file for file, records in used.items() if records and len(records) < _records(file)]
    if holes and all(file.stat().st_nlink == 1 for file in holes):
        with ShardWriter(run, _free_name(path)) as writer:
            for start in range(0, len(kept), _AT_A_TIME):
                some = kept[start : start + _AT_A_TIME]
                writer.append([(row, {metric: files.read(row, metric) for metric in row.features}) for row in some])
            writer.sync()
        kept, used = [], {file: set() for file in used}
    if kept:
        rewrite_lines(path, kept)
    else:
        path.unlink()
    files.close()
    for file, records in used.items():
        if not records:
            file.unlink()


def _records(file: Path) -> int:
    return file.stat().st_size // (4 * record_size(file))


def _free_name(path: Path) -> str:
    """A shard for what is kept of another; a linked one's features are its own then."""
    base = path.stem.partition(_KEPT)[0].replace(FROM, "-of-")
    taken = {other.stem for other in path.parent.glob("*.jsonl")}
    return next(name for number in range(len(taken) + 1) if (name := f"{base}{_KEPT}{number}") not in taken)


def _leftovers(run: Path) -> Iterator[Path]:
    yield from sorted(rows_folder(run).glob("*.damaged"))
    for part in sorted(run.rglob(".*.part")):
        if time.time() - part.stat().st_mtime > _OLD_SECONDS:
            yield part
