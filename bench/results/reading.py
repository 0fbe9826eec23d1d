"""Reading results: rows that are what was written, and what is damaged.

Every line and every feature record has a checksum; what does not fit it is no result. Reading never changes a file.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.core.files import regular_size
from bench.results.features import FeatureFiles, rows_folder
from bench.results.row import HEAD, ORIGINAL, REAL_DIGESTS, Row, Texts, in_table_order, parse

# No row is longer; a longer line is read in pieces, none of which is a row.
_LONGEST = 1 << 20
# Damaged lines of a file that are told one by one.
_MOST_DAMAGE = 1000


@dataclass(frozen=True)
class Damage:
    """A line or a feature record that is not what was written.

    Attributes:
        file: Where; `offset` is the byte it begins at.
        what: In a few words.
        line: The line's bytes, without the newline.
    """

    file: Path
    offset: int
    what: str
    line: bytes = b""

    def __str__(self) -> str:
        return f"{self.file}, byte {self.offset}: {self.what}"


@dataclass
class Scan:
    """What reading found: whole rows, one a key, and what is damaged."""

    rows: list[Row] = field(default_factory=list)
    damage: list[Damage] = field(default_factory=list)


def rows_of(path: Path) -> Iterator[Row | Damage | None]:
    """Rows of a shard in order, damage where a line is no row; None where lines must be put in order again (a kill
    leaves a torn end).
    """
    texts: Texts = {}
    offset, shard = 0, path.stem
    try:
        regular_size(path)
    except OSError as error:
        yield Damage(path, 0, f"a file that {error.strerror}", b"")
        return
    damaged, rest = 0, bytearray()
    with path.open("rb") as stream:
        while line := stream.readline(_LONGEST):
            row = parse(line[:-1], shard, texts) if line.endswith(b"\n") else None
            if row is not None:
                yield row
            elif line.strip():
                for item in _pieces(path, offset, line, texts):
                    damaged += isinstance(item, Damage)
                    if isinstance(item, Damage) and damaged > _MOST_DAMAGE:
                        rest += item.line + b"\n"
                    else:
                        yield item
            offset += len(line)
    if rest:
        yield Damage(path, 0, f"{damaged - _MOST_DAMAGE:,} more damaged lines", bytes(rest[:-1]))


def _pieces(path: Path, offset: int, line: bytes, texts: Texts) -> Iterator[Row | Damage | None]:
    """What is left of a bad line: rows that lost the newline between them, damage, or nothing of a torn end."""
    yield None
    ended = line.endswith(b"\n")
    starts = [0]
    while (at := line.find(HEAD, starts[-1] + 1)) >= 0:
        starts.append(at)
    for start, end in zip(starts, [*starts[1:], len(line)], strict=True):
        piece = line[start:end].rstrip(b"\n")
        # A lost newline may have become any other byte.
        row = parse(piece, path.stem, texts) or parse(piece[:-1], path.stem, texts)
        if row is not None:
            yield row
        elif piece and (end < len(line) or ended or len(line) == _LONGEST):
            old = piece.startswith(b'{"key"')
            what = "a line without checksum, of an older version" if old else "a damaged line"
            yield Damage(path, offset + start, what, piece)


def scan(run: Path, manifest: Mapping[str, Any] | None = None, *, verify: bool = False) -> Scan:
    """Rows of all shards, one a key, sorted by (method, pass, image, protocol), and what is damaged.

    With a manifest, only rows of its methods, passes and protocols in their present versions: rows of an older
    checkpoint stay on disk, but no table reads them. Of several rows of one key a measured one is taken before a
    failed one, then the first. With `verify` every feature record is read and held against its checksum.
    """
    with _without_collector():
        return _scan(rows_folder(run), manifest, verify=verify)


@contextmanager
def _without_collector() -> Iterator[None]:
    # Rows hold no circles, and walking through 250,000 of them again and again takes longer than reading them.
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _scan(folder: Path, manifest: Mapping[str, Any] | None, *, verify: bool) -> Scan:
    files = FeatureFiles(folder)
    found: dict[str, Row] = {}
    damage: list[Damage] = []
    for path in sorted(folder.glob("*.jsonl")):
        for item in rows_of(path):
            if isinstance(item, Damage):
                damage.append(item)
            elif item is not None and (manifest is None or _is_current(item, manifest)):
                known = found.get(item.key)
                if known is not None and (known.final or not item.final):
                    continue
                if problem := _features_problem(folder, files, item, verify=verify):
                    damage.append(problem)
                else:
                    found[item.key] = item
    return Scan(in_table_order(list(found.values())), damage)


def _features_problem(folder: Path, files: FeatureFiles, row: Row, *, verify: bool) -> Damage | None:
    if not verify:
        if files.reach(row):
            return None
        return Damage(folder / f"{row.shard}.jsonl", 0, f"the features of {row.image} are gone")
    problem = files.problem(row)
    return None if problem is None else Damage(*problem, f"the features of {row.image} are damaged")


def read_rows(run: Path, manifest: Mapping[str, Any] | None = None) -> list[Row]:
    """The rows that `scan` finds; what is damaged is left out."""
    return scan(run, manifest).rows


def _is_current(row: Row, manifest: Mapping[str, Any]) -> bool:
    if (
        manifest["protocols"].get(row.protocol, {}).get("digest") != row.protocol_digest
        or manifest["pictures"].get(row.image, {}).get("digest") != row.image_digest
    ):
        return False
    if row.method in REAL_DIGESTS:
        if row.method_digest != REAL_DIGESTS[row.method]:
            return False
        return row.pass_name == ORIGINAL or any(
            edit["column"] == row.pass_name and _is_of(row, edit.get("reference", {})) for edit in manifest["passes"]
        )
    method = manifest["methods"].get(row.method, {})
    return method.get("digest") == row.method_digest and _is_of(row, method["passes"].get(row.pass_name, {}))


def _is_of(row: Row, edit: Mapping[str, Any]) -> bool:
    """Whether a row is of the edit of a manifest's record."""
    return (edit.get("edit_digest"), edit.get("strength")) == (row.edit_digest, row.strength)
