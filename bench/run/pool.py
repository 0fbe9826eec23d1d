"""Results that other runs under the same output folder have made: taken over where their keys are wanted.

A key says everything that decides a result, so a run over more images, with another method or in another order has
what an overlapping one has made, under whatever name. Rows are copied, features and sample images linked (copied where
the file system has no links): a run's folder stays whole by itself, and nothing large is there twice.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.errors import MissingError
from bench.core.files import explain_write_errors, write_atomic
from bench.plan.work import Work
from bench.results.features import FeatureFiles, rows_folder
from bench.results.links import link_rows
from bench.results.manifest import read_manifest
from bench.results.reading import scan
from bench.results.row import ORIGINAL, REAL, REAL_JPEG, Row
from bench.results.store import ShardWriter
from bench.run.sample_images import flow_path, sample_path, sampled

_AT_A_TIME = 500


@dataclass(frozen=True)
class _Neighbour:
    """Another run, and its present rows."""

    run: Path
    manifest: Mapping[str, Any]
    rows: tuple[Row, ...]


def offered(run: Path, work: Work, wanted: Collection[str]) -> set[str]:
    """Those of the wanted keys that runs beside `run` can give."""
    return {row.key for neighbour in _neighbours(run, work) for row in _usable(neighbour, work, wanted)}


def take_over(run: Path, shard: str, work: Work, wanted: Collection[str]) -> set[str]:
    """Copy wanted rows of the runs beside `run` into a shard; returns the keys that are there now."""
    taken: set[str] = set()
    for neighbour in _neighbours(run, work):
        rows = [row for row in _usable(neighbour, work, wanted) if row.key not in taken]
        if not rows:
            continue
        _take_samples(neighbour.run, run, rows, work)
        linked = link_rows(run, shard, neighbour.run, rows)
        taken |= _copy(neighbour, rows, run, shard) if linked is None else linked
    return taken


def other_runs(run: Path) -> list[Path]:
    """Folders of the runs beside `run`."""
    folders = [path.parent for path in sorted(run.parent.glob("*/manifest.json"))]
    return [folder for folder in folders if folder.resolve() != run.resolve()]


def _neighbours(run: Path, work: Work) -> Iterator[_Neighbour]:
    """Whole manifests beside `run` whose protocols are ours; a run that cannot be read gives nothing."""
    digests = {work.protocol_digest(evaluator) for evaluator in work.evaluators}
    for folder in other_runs(run):
        try:
            manifest = read_manifest(folder)
            if digests & {about["digest"] for about in manifest["protocols"].values()}:
                yield _Neighbour(folder, manifest, tuple(scan(folder, manifest).rows))
        except (MissingError, OSError, KeyError, TypeError, AttributeError):
            continue


def _usable(neighbour: _Neighbour, work: Work, wanted: Collection[str]) -> list[Row]:
    """Wanted rows that say what they would say again; those in the grids only with the images that belong there."""
    same = next(iter(neighbour.manifest["protocols"]), "") == work.evaluators[0].protocol
    wanted_rows = [row for row in neighbour.rows if row.key in wanted and row.status == "ok"]
    pictured = shown(work, wanted_rows)
    return [row for row in wanted_rows if row.key not in pictured or (same and _sample(neighbour.run, row).is_file())]


def shown(work: Work, rows: Iterable[Row]) -> set[str]:
    """Keys of the rows whose images the grids show: the first protocol's, of the first images."""
    images = {work.images[at].name for at in sampled(work.images, work.grid_pictures)}
    first = work.evaluators[0].protocol
    return {row.key for row in rows if row.image in images and row.protocol == first and _is_kept(row)}


def _is_kept(row: Row) -> bool:
    """Whether the image that the row is about is its own: an input is kept once, under its first pass."""
    return row.method != REAL_JPEG and (row.method != REAL or row.pass_name == ORIGINAL)


def _copy(neighbour: _Neighbour, rows: list[Row], run: Path, shard: str) -> set[str]:
    """Write rows and their features once more."""
    files = FeatureFiles(rows_folder(neighbour.run))
    taken: set[str] = set()
    with ShardWriter(run, shard) as writer:
        for start in range(0, len(rows), _AT_A_TIME):
            entries: list[tuple[Row, dict[str, np.ndarray]]] = []
            for row in rows[start : start + _AT_A_TIME]:
                try:
                    entries.append((row, {metric: files.read(row, metric) for metric in row.features}))
                except MissingError:
                    continue  # damaged there: made anew here
            writer.append(entries)
            taken.update(row.key for row, _ in entries)
    return taken


def _take_samples(source: Path, target: Path, rows: Sequence[Row], work: Work) -> None:
    """Link the images that the grids show of the rows; a changed one is always a new file."""
    pictured = shown(work, rows)
    for row in rows:
        if row.key in pictured:
            image = _sample(Path(), row)
            for name in (image, flow_path(image)):
                if (source / name).is_file() and (source / name).resolve().is_relative_to(source.resolve()):
                    _link_or_copy(source / name, target / name)


def _link_or_copy(source: Path, target: Path) -> None:
    with explain_write_errors(target, "--output"):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        try:
            os.link(source, target)
        except OSError:
            write_atomic(target, source.read_bytes(), sync=False)


def _sample(run: Path, row: Row) -> Path:
    return sample_path(run, row.method, row.pass_name, row.image)
