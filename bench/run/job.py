"""One part of a run, whoever runs it: a process here, a task of a scheduler, a job of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.core.errors import UsageError
from bench.core.machine import words
from bench.plan.config import Config
from bench.plan.work import Work
from bench.results.reading import read_rows
from bench.results.row import Row
from bench.results.store import ShardWriter
from bench.run.engine import Engine
from bench.run.known import Known, find_known
from bench.run.sample_images import SampleImages
from bench.run.shard import Shard
from bench.timing.profile import PHASES

Progress = Callable[[int, str], None]


def do_part(work: Work, folder: Path, shard: Shard, progress: Progress, known: Known | None = None) -> dict[str, Any]:
    """Make the shard's missing rows; returns what each method took: {"made", "seconds", "stages"} by name.

    Under `PHASES` stands where the process's time went, phase -> seconds. `known` is what need not be measured again.
    """
    done = {row.key for row in read_rows(folder) if row.final}
    with ShardWriter(folder, shard.name) as writer:
        samples = SampleImages(folder, work.images, work.grid_pictures, work.observers)
        engine = Engine(work, writer, done, shard, samples, progress, known)
        engine.run()
    spent: dict[str, Any] = {
        name: {
            "made": engine.made.get(name, 0),
            "seconds": engine.spent.seconds.get(name, 0.0),
            "stages": clock.seconds,
        }
        for name, clock in engine.clocks.items()
    }
    networks = sum(sum(clock.seconds.values()) for clock in engine.clocks.values())
    return spent | {PHASES: engine.phases.record(networks)}


def missing_rows(work: Work, folder: Path, shard: Shard) -> list[Row]:
    """The shard's rows that are not there, empty."""
    done = {row.key for row in read_rows(folder) if row.final}
    return [row for index, row in work.rows() if row.key not in done and shard.owns(index // work.group)]


def count_made(spent: Mapping[str, Any]) -> int:
    """Results that a part made, of what `do_part` returned."""
    return sum(found["made"] for name, found in spent.items() if name != PHASES)


@dataclass(frozen=True)
class RemoteJob:
    """`do_part` for another process or machine, which sees the same folder: it plans the work itself.

    Attributes:
        config: The run's; everything it names must be reachable under the same path there.
        folder: The run's.
        machine: The kind that the plan was made on.
        share: Whether what other runs have measured may be taken over.
    """

    config: Config
    folder: Path
    machine: Mapping[str, str]
    share: bool = True

    def __call__(self, shard: Shard) -> dict[str, Any]:
        """Plan the work here and make the shard's missing rows, see `do_part`."""
        from bench.plan.build import assemble

        work = assemble(self.config, shard).work
        if work.machine != self.machine:
            raise UsageError(
                f"part {shard.rank + 1} of {shard.size} is on another kind of machine ({words(work.machine)}) than the "
                f"run's plan ({words(self.machine)})",
                "start the run on a machine of the workers' kind, or choose workers of one kind",
            )
        missing = missing_rows(work, self.folder, shard)
        known = find_known(self.folder, work, missing, beside=self.share)
        return do_part(work, self.folder, shard, lambda count, what: None, known)
