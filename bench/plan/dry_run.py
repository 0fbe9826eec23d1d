"""What a run would do, cell by cell, for methods that are here and those that are not; nothing is loaded or read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench.core.contract import EditPass
from bench.core.evaluator import Evaluator
from bench.plan.work import NOT_APPLICABLE, Work, row_bytes
from bench.results.reading import read_rows
from bench.results.row import ORIGINAL, REAL, REAL_JPEG
from bench.run.known import find_known
from bench.run.pool import offered

if TYPE_CHECKING:
    from bench.plan.build import Assembly


@dataclass(frozen=True)
class PlannedCell:
    """One method, pass and protocol.

    Attributes:
        method, pass_name, protocol: Which.
        strength: Signed; 0 for reconstructions and real images.
        inputs, reals: Subsets of the images that go in and of those the FID compares with.
        images: How many go in; None where the data set is not here to count them.
        done: How many of them an earlier run has left.
    """

    method: str
    pass_name: str
    protocol: str
    strength: float
    inputs: str
    reals: str
    images: int | None
    done: int

    @property
    def todo(self) -> int | None:
        """Images that are still to do; None where nobody can count them."""
        return None if self.images is None else self.images - self.done


@dataclass(frozen=True)
class There:
    """What earlier runs have left.

    Attributes:
        done: (method, pass, protocol) -> results that are not computed again.
        in_part: Of how many others some columns are known, in a sentence; "" for none.
    """

    done: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    in_part: str = ""


def planned_cells(assembly: Assembly, there: There) -> list[PlannedCell]:
    """All cells in table order: the real images, then every method asked for."""
    own = {spec.name: spec.passes for spec in assembly.work.specs}
    original = [EditPass(ORIGINAL, None, 0.0)]
    blocks: list[tuple[str, Sequence[EditPass]]] = [(REAL, original), (REAL_JPEG, original)]
    blocks += [(name, own.get(name, columns)) for name, columns in assembly.columns.items()]
    return [
        PlannedCell(
            name,
            edit.pass_name,
            evaluator.protocol,
            float(edit.strength),
            edit.inputs,
            edit.reals,
            len(assembly.work.members(edit)) if assembly.counted else None,
            there.done.get((name, edit.pass_name, evaluator.protocol), 0),
        )
        for name, edits in blocks
        for edit in edits
        for evaluator in assembly.work.evaluators
        if evaluator.lossy or name != REAL_JPEG
    ]


def statuses(assembly: Assembly) -> dict[str, str]:
    """Method asked for -> "ready", "missing", "unusable" or "not released"."""
    found = dict.fromkeys(assembly.columns, "ready")
    for one in assembly.missing:
        if one.kind == "methods":
            found[one.name] = one.status
        elif one.kind == "edits" and one.status != NOT_APPLICABLE:
            found[one.method] = one.status
    return found


def bytes_left(cells: Sequence[PlannedCell], evaluators: Sequence[Evaluator]) -> int | None:
    """About what the missing rows of the cells take on disk, once every network is here; None where unknown."""
    sizes = {evaluator.protocol: row_bytes(len(evaluator.planned_features)) for evaluator in evaluators}
    if any(cell.todo is None for cell in cells):
        return None
    return sum((cell.todo or 0) * sizes[cell.protocol] for cell in cells)


def what_is_there(work: Work, folder: Path, *, fresh: bool) -> There:
    """Results that need not be computed, in the run's `folder` and in the runs beside it, by other protocols too; none
    where a `fresh` run forgets them.

    The images' digests, for which every file is read, are asked for only where there is something.
    """
    own = {row.key for row in read_rows(folder) if row.final} if (folder / "rows").is_dir() else set()
    if fresh or not (own or (folder / "rows").is_dir() or any(folder.parent.glob("*/manifest.json"))):
        return There()
    keys = own | offered(folder, work, {row.key for _, row in work.rows()} - own)
    missing = [row for _, row in work.rows() if row.key not in keys]
    known = find_known(folder, work, missing, beside=True)
    keys |= {row.key for row in known.complete(work, missing)}
    counts = {(cell.method, cell.pass_name, cell.protocol): cell.done for cell in work.cells(keys)} if keys else {}
    return There(counts, known.in_part(work, (row for row in missing if row.key not in keys)))
