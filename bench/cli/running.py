"""The run itself: assemble, check, run the engine, write reports; the heavy half of the `run` command."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bench.cli.planning import print_plan
from bench.cli.printing import tell
from bench.core.errors import ExitCode, MissingError, UsageError
from bench.core.files import explain_write_errors
from bench.core.machine import words
from bench.data.check import quick, warnings_of
from bench.plan.build import Assembly, assemble
from bench.plan.config import Config
from bench.plan.eta import remember
from bench.plan.limits import check_space
from bench.plan.manifest import dropped, manifest
from bench.plan.missing import missing_items, next_steps
from bench.plan.sources import terms_of
from bench.plan.work import Work, disk_bytes
from bench.results.columns import record_columns
from bench.results.manifest import read_manifest, write_manifest
from bench.results.reading import read_rows
from bench.results.row import Row
from bench.results.store import ShardWriter, repair
from bench.results.wholeness import load_results
from bench.run.backends import check_backend, run_parts
from bench.run.job import RemoteJob, do_part
from bench.run.known import Known, complete_rows, find_known
from bench.run.pool import take_over
from bench.run.shard import Shard, from_environment
from bench.run.workers import possible, run_workers
from bench.timing.clock import read_timing, timing_is_damaged, write_timing
from bench.timing.profile import PHASES, lines, outside, together


def run(config: Config, options: argparse.Namespace) -> int:
    """Run a configuration; returns the exit code."""
    shard = from_environment(asked=options.part or "")
    if shard.size > 1:
        tell(shard.words)
    check_backend(config, shard)
    assembly = assemble(config, shard, dry=options.dry_run)
    folder = config.run_folder()
    if lost := what_is_dropped(folder, assembly):
        tell(f"note: {folder}: the report will no longer show {', '.join(lost)}; their results are kept")
    if options.dry_run:
        return print_plan(config, assembly, folder, fresh=options.fresh, as_json=options.json)
    assembly.refuse_if_incomplete()
    for note in (*assembly.notes, *terms_of(config)):
        tell(f"note: {note}")
    for one in assembly.missing:
        tell(f"not measured: {one.name}: {one.reason}")
    for step in next_steps(missing_items(assembly.missing)):
        tell(f"  next: {step}")
    if options.fresh:
        _forget(folder, shard)
    record = manifest(config, assembly, options.words)
    _tell_other_machine(folder, record, shard)
    work = assembly.work
    with ShardWriter(folder, shard.name) as writer:  # fails early where the folder is not ours to write
        write_manifest(folder, record)
        record_columns(folder, {work.protocol_digest(item): work.column_digests(item) for item in work.evaluators})
    for damage in (*writer.damage, *repair(folder)):
        tell(f"set aside: {damage}; it is made again")
    _compute(config, assembly, folder, shard, options)
    return _finish(folder, shard, options)


def what_is_dropped(folder: Path, assembly: Assembly) -> list[str]:
    """What the folder's present report shows and the new one will not."""
    try:
        return dropped(read_manifest(folder), assembly)
    except (MissingError, KeyError, TypeError, AttributeError):
        return []


def _tell_other_machine(folder: Path, record: Mapping[str, Any], shard: Shard) -> None:
    """Say that results of another kind of machine lie here; parts of one run may not be of different kinds.

    Raises:
        UsageError: This part would make what the other parts' manifest does not know.
    """
    try:
        earlier = read_manifest(folder).get("machine")
    except MissingError:
        return
    if not isinstance(earlier, dict) or earlier == record["machine"]:
        return
    what = f"{folder} has results of another kind of machine ({words(earlier)}; this one: {words(record['machine'])})"
    if shard.size > 1:
        raise UsageError(
            f"part {shard.rank + 1} of {shard.size}: {what}",
            "run all parts on machines of one kind, or give this run another --name",
        )
    tell(f"note: {what}: they are not mixed, all is computed anew")


def _compute(config: Config, assembly: Assembly, folder: Path, shard: Shard, options: argparse.Namespace) -> None:
    """Make what is missing, in one process or several, and say where the time went.

    What other runs have is taken over, unless all is to be `fresh`.
    """
    work = assembly.work
    there = read_rows(folder)
    done = {row.key for row in there if row.final}
    own = {row.key: (i, row) for i, row in work.rows() if row.key not in done and shard.owns(i // work.group)}
    if own and not options.fresh:
        taken = take_over(folder, shard.name, work, own)
        if taken:
            tell(f"{len(taken)} results taken over from other runs in {folder.parent}")
        done |= taken
    missing = [row for key, (_, row) in own.items() if key not in done]
    known = find_known(folder, work, missing, beside=not options.fresh)
    done |= _complete(folder, shard, work, known, missing)
    todo = [index for key, (index, _) in own.items() if key not in done]
    if not todo:
        tell("nothing to compute: all results are there")
        return
    if again := {row.key for row in there} - done & {row.key for _, row in work.rows()}:
        tell(f"{len(again)} results failed before and are tried again")
    check_space(folder, disk_bytes(work, done), len(todo))
    if shard.rank == 0:
        for line in warnings_of(quick(work.images), len(work.images)):
            tell(line)
    groups = len({index // work.group for index in todo})
    workers = min(possible(work.device, config.run.workers), groups) if shard.size == 1 else 1
    backend = config.run.backend
    shared = f", by {backend}" if backend != "local" else f", {workers} processes" if workers > 1 else ""
    tell(f"{folder}: {len(todo)} results to compute, {len(work.images)} images, on {work.device}{shared}")
    with _Bar(len(todo)) as bar:
        if backend != "local" and shard.size == 1:
            remote = RemoteJob(config, folder.resolve(), work.machine, share=not options.fresh)
            spent = run_parts(backend, remote, config.run.parts, bar)
        elif workers > 1:
            spent = run_workers(partial(do_part, work, folder, known=known), workers, bar)
        else:
            spent = [do_part(work, folder, shard, bar, known)]
    phases = together([part.pop(PHASES, {}) for part in spent])
    tell(outside(phases))
    for line in lines(phases) if options.profile else ():
        tell(line)
    _keep_timing(folder, spent, work)


def _complete(folder: Path, shard: Shard, work: Work, known: Known, missing: Sequence[Row]) -> set[str]:
    """Write what rows of other protocols know whole, and say what they know in part. Returns the keys written."""
    if not known:
        return set()
    written = complete_rows(folder, shard.name, work, known, missing)
    if written:
        tell(f"{len(written)} results taken over from other protocols, which measure the same")
    if sentence := known.in_part(work, (row for row in missing if row.key not in written)):
        tell(sentence)
    return written


def _finish(folder: Path, shard: Shard, options: argparse.Namespace) -> int:
    """Reports when every shard's rows are there; else say what is still missing."""
    from bench.cli.reporting import report, tell_state

    results = load_results(folder)
    if shard.size > 1 and not results.whole:
        missing = sum(planned - there for there, planned in results.lacking.values())
        tell(f"part {shard.rank + 1} of {shard.size} is done; {missing} results of other parts are still missing")
        tell(f"  next: when they are done, python run_bench.py report {folder}")
        print(folder)
        return int(ExitCode.OK)
    text, answer = report(results, columns=options.columns)
    print(json.dumps(answer, ensure_ascii=False) if options.json else f"{text}\n{folder}")
    failed = [row for row in results.rows if row.status == "failed"]
    if failed:
        tell(f"error: {len(failed)} of {len(results.rows)} results failed; the others are kept")
        for reason, count in _reasons(failed):
            tell(f"  {count} x {reason}")
    tell_state(results)
    return int(ExitCode.FAILED_CELLS if failed or not results.whole else ExitCode.OK)


def _reasons(failed: Sequence[Row], most: int = 10) -> list[tuple[str, int]]:
    return Counter(
        f"{row.image if (row.reason or '').startswith('input') else row.method}: {row.reason}" for row in failed
    ).most_common(most)


def _forget(folder: Path, shard: Shard) -> None:
    """Remove a run's results, and nothing else: a folder that is no run is left alone.

    The manifest goes last, so that the same command can finish what a kill has cut short.
    """
    if shard.size > 1:
        raise UsageError(
            f"--fresh in part {shard.rank + 1} of {shard.size} would delete what the other parts have written",
            f"remove the folder {folder} first, then start the parts without --fresh",
        )
    if not folder.exists():
        return
    if not (folder / "manifest.json").is_file() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not a run of ours: it has no manifest.json", "remove it yourself, or use --name")
    with ShardWriter(folder):  # another process may be writing there
        pass
    with explain_write_errors(folder, "--output"):
        for name in (".report.json", ".reports.json", "index.html", "results.json"):
            (folder / name).unlink(missing_ok=True)
        for name in ("tables", "plots", "grids", "figures", "rows", "pictures"):
            shutil.rmtree(folder / name, ignore_errors=True)
        for name in ("timing.json", "manifest.json"):
            (folder / name).unlink(missing_ok=True)


def _keep_timing(folder: Path, spent: Sequence[dict[str, Any]], work: Work) -> None:
    """Add stage times to the run's own, seconds a result in whole groups, for the next forecast.

    The runtimes that reports print are the harness's (`run_bench.py time --into RUN`): these here depend on the group
    and on what else the machine did, and no table may change because a run was interrupted.
    """
    if timing_is_damaged(folder):
        tell(f"damaged: {folder}/timing.json: its runtimes are lost; `time --into` measures them anew")
    timing = read_timing(folder)
    methods = timing.setdefault("run", {})
    for name, found in ((name, found) for part in spent for name, found in part.items() if found["made"]):
        record = methods.setdefault(name, {"results": 0, "stages": {}})
        before, after = record["results"], record["results"] + found["made"]
        for stage, seconds in found["stages"].items():
            record["stages"][stage] = (record["stages"].get(stage, 0.0) * before + seconds) / after
        record["results"] = after
    timing |= {"run_device": work.device, "run_group": work.group}
    write_timing(folder, timing)
    names = {name for part in spent for name in part}
    found = [(name, [part[name] for part in spent if name in part]) for name in names]
    remember(work, {name: (sum(p["made"] for p in parts), sum(p["seconds"] for p in parts)) for name, parts in found})


class _Bar:
    """Progress with time left on stderr; a line every ten seconds where stderr is no terminal."""

    def __init__(self, total: int) -> None:
        from tqdm import tqdm

        terminal = sys.stderr.isatty()
        self._bar = tqdm(
            total=total,
            unit="result",
            file=sys.stderr,
            mininterval=0.3 if terminal else 10.0,
            dynamic_ncols=terminal,
            ncols=None if terminal else 80,
            smoothing=0.05,
        )

    def __call__(self, count: int, what: str) -> None:
        if what:
            self._bar.set_description_str(what, refresh=False)
        self._bar.update(count)

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
