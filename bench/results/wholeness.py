"""Whether a run is whole: its rows held against the plan in its manifest, by every reader of rows."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.core.errors import BenchError, ExitCode, MissingError
from bench.core.subset import belongs
from bench.results.manifest import read_manifest
from bench.results.reading import Damage, scan
from bench.results.row import ORIGINAL, REAL, REAL_JPEG, TRUTH, Row

if TYPE_CHECKING:
    import pandas as pd


class UnfinishedError(BenchError):
    """A run that lacks results, where only a whole one will do."""

    exit_code = ExitCode.FAILED_CELLS


class Block(NamedTuple):
    """One method and pass under one protocol."""

    method: str
    pass_name: str
    protocol: str

    def __str__(self) -> str:
        return f"{self.method}, {self.pass_name}, {self.protocol}"


@dataclass(frozen=True)
class Results:
    """A run's manifest and rows, and what the plan in the manifest has beyond them.

    Attributes:
        run: The run's folder.
        manifest: Its record of itself.
        rows: The present ones, sorted; failed images have a row too.
        damage: Lines and feature records that are not what was written; they are not among the rows.
        planned: Rows that the plan asks for, by block.
        there: Rows that are there, by block.
    """

    run: Path
    manifest: Mapping[str, Any]
    rows: Sequence[Row]
    damage: Sequence[Damage]
    planned: Mapping[Block, int]
    there: Mapping[Block, int]

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The rows as a data frame, made once; see `bench.results.frame.frame_of`."""
        from bench.results.frame import frame_of

        return frame_of(self.rows)

    @property
    def lacking(self) -> dict[Block, tuple[int, int]]:
        """Block -> rows there and planned, where some are not there."""
        return {
            block: (self.there.get(block, 0), count)
            for block, count in self.planned.items()
            if self.there.get(block, 0) < count
        }

    @property
    def whole(self) -> bool:
        """Whether every result that was planned is there."""
        return not self.lacking

    @property
    def banner(self) -> str:
        """What every table of an unfinished run says first; empty for a whole one."""
        if self.whole:
            return ""
        planned = sum(self.planned.values())
        there = planned - sum(count - own for own, count in self.lacking.values())
        return f"Unfinished: {there:,} of {planned:,} results are there. Its numbers are of those alone."

    def only(self, methods: Sequence[str]) -> Results:
        """The same, with the plan of these methods alone."""
        planned = {block: count for block, count in self.planned.items() if block.method in methods}
        return replace(self, planned=planned)

    def sentences(self, most: int = 5) -> list[str]:
        """What is damaged and what lacks, a line each."""
        lines = [f"damaged: {item}" for item in self.damage[:most]]
        lines += [f"damaged: {len(self.damage) - most} more"] if len(self.damage) > most else []
        blocks = list(self.lacking.items())
        lines += [f"unfinished: {block}: {own} of {count}" for block, (own, count) in blocks[:most]]
        return lines + ([f"unfinished: {len(blocks) - most} more"] if len(blocks) > most else [])

    def refuse_unfinished(self) -> None:
        """Raise UnfinishedError, naming what lacks, unless every planned result is there."""
        if not self.whole:
            raise UnfinishedError("\n  ".join([f"{self.run}: {self.banner}", *self.sentences()]), self.next_step)

    @property
    def next_step(self) -> str:
        """The command that makes what lacks; of a merge those of its sources, then the merge's own."""
        import shlex

        if sources := self.manifest.get("sources"):
            commands = [shlex.join(map(str, source["command"])) for source in sources]
            again = shlex.join(map(str, self.manifest["command"]))
            return f"carry on with the runs' own commands, then merge again: {'; '.join([*commands, again])}"
        command = shlex.join(map(str, self.manifest.get("command") or ["python", "run_bench.py"]))
        return f"carry on with the run's own command: {command}"


def load_results(run: Path, manifest: Mapping[str, Any] | None = None) -> Results:
    """A run's rows, each checked, and how they stand to its plan.

    Raises:
        MissingError: There is no run, or its manifest is damaged or of another version.
    """
    record = read_manifest(run) if manifest is None else manifest
    try:
        found = scan(run, record, verify=True)
        planned = planned_rows(record)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise MissingError(
            f"{run}/manifest.json is of another version: {type(error).__name__} {error}", "run its command again"
        ) from None
    return Results(run, record, found.rows, found.damage, planned, count_rows(found.rows))


def load_run(run: str | Path) -> pd.DataFrame:
    """A run's results as a data frame, sorted by method, pass, image and protocol.

    Its columns are those of `bench.results.frame.frame_of`. Its `attrs` have "run" (the folder), and how the rows stand
    to the plan in the run's manifest: "whole" (whether every planned result is there), "banner" (else how many are, in
    a sentence) and "lacking" (a list with method, pass, protocol, there and planned of each block where results lack).
    All of them are plain, since pandas holds them against each other where frames are joined. A run that lacks results
    warns.

    Raises:
        MissingError: There is no run, or its manifest is damaged.
    """
    results = load_results(Path(run))
    names = ("method", "pass", "protocol", "there", "planned")
    lacking = [dict(zip(names, (*block, *counts), strict=True)) for block, counts in results.lacking.items()]
    results.frame.attrs |= {
        "run": str(results.run),
        "whole": results.whole,
        "banner": results.banner,
        "lacking": lacking,
    }
    if not results.whole:
        warnings.warn(f"{run}: {results.banner}", stacklevel=2)
    return results.frame


def planned_rows(manifest: Mapping[str, Any]) -> dict[Block, int]:
    """Rows that a manifest's plan asks for, by block."""
    return dict(_planned(manifest))


def count_rows(rows: Sequence[Row]) -> Mapping[Block, int]:
    """Rows by block."""
    return Counter(Block(row.method, row.pass_name, row.protocol) for row in rows)


def _planned(manifest: Mapping[str, Any]) -> Iterator[tuple[Block, int]]:
    images = manifest["pictures"]
    inputs = {edit["column"]: edit.get("inputs", "all") for edit in manifest["passes"]}
    sizes = {expression: len(chosen(images, expression)) for expression in set(inputs.values())}
    for protocol, about in manifest["protocols"].items():
        yield Block(REAL, ORIGINAL, protocol), len(images)
        if about.get("lossy"):
            yield Block(REAL_JPEG, ORIGINAL, protocol), len(images)
        for edit in manifest["passes"]:
            if "reference" in edit:
                for name in (REAL, TRUTH):
                    yield Block(name, edit["column"], protocol), sizes[inputs[edit["column"]]]
        for method, own in manifest["methods"].items():
            for column in own.get("passes") or ():
                yield Block(method, column, protocol), sizes[inputs[column]]


def chosen(images: Mapping[str, Mapping[str, Any]], expression: str) -> list[str]:
    """Names of the manifest's images that belong to a subset ("all", "Smiling=1")."""
    return [name for name, about in images.items() if belongs(about["attributes"], expression)]
