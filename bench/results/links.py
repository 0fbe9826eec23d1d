"""Rows of another run, taken without doubling their features: lines are copied, feature files linked.

A hard link is the file itself under a second name: nothing is copied, and this run stays whole when the other one is
deleted or begun afresh. Nothing here ever writes to such a file; its own run may append to it, which moves no record,
and copies it before it cuts it. Where there are no hard links (another disk, FAT), `link_rows` says so.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from bench.results.features import FROM, FeatureFiles, rows_folder
from bench.results.row import Row
from bench.results.store import ShardWriter


def link_rows(run: Path, shard: str, source: Path, rows: Sequence[Row]) -> set[str] | None:
    """Take rows of the run `source` into shards of their own beside `shard`; damaged ones are left out.

    Returns their keys; None where files cannot be linked, and then nothing is taken.
    """
    files = FeatureFiles(rows_folder(source))
    by_shard: dict[str, list[Row]] = {}
    for row in rows:
        if files.problem(row) is None:
            by_shard.setdefault(row.shard, []).append(row)
    taken: set[str] = set()
    for own in by_shard.values():
        needed = {file for row in own for metric in row.features if (file := files.file(row, metric)) is not None}
        name = _linked(rows_folder(run), shard, own[0].shard, needed)
        if name is None:
            return None
        with ShardWriter(run, name) as writer:
            writer.adopt(own)
        taken.update(row.key for row in own)
    return taken


def _linked(folder: Path, shard: str, source: str, needed: set[Path]) -> str | None:
    """Link feature files under the name of a shard in which no other file has their names; None where that fails."""
    for number in range(len(list(folder.glob("*.jsonl"))) + 1):
        name = f"{shard}{FROM}{number}"
        targets = {file: folder / f"{name}{file.name.removeprefix(source)}" for file in needed}
        if any(target.exists() and not target.samefile(file) for file, target in targets.items()):
            continue
        try:
            for file, target in targets.items():
                if not target.exists():
                    os.link(file, target)
        except OSError:
            return None
        return name
    return None
