"""What the tests of survival share: a run with set features and times, commands that can be killed, and the verdict.

The verdict on a run that was harmed: every reader either shows the very numbers of the whole run, or says what lacks
and does not exit 0; and the run's own command makes it whole again, byte for byte.
"""

from __future__ import annotations

import contextlib
import io
import json
import multiprocessing
import os
import re
import shutil
import signal
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import numpy as np

# What a server of forks imports once for all commands.
import bench.cli.running
import bench.run.engine
import reports.build
import reports.figures.plots
from bench.api import load_run
from bench.cli import main
from bench.core.errors import BenchError
from bench.plan.plugins import load_plugins
from bench.timing.clock import read_timing, timing_is_damaged
from reports.results_file.record import NAME as RESULTS

METRIC = '''
"""A metric of sets without a network: squared distance of mean colours."""

from dataclasses import dataclass

import numpy as np

from metrics.columns import Estimate, Influences, kind


@kind("tint")
@dataclass(frozen=True)
class Tint:
    def needs(self):
        return ()

    def shares(self):
        return None

    def prepare(self, resources):
        return resources.features("tint", lambda: means)

    def measure(self, features, reference):
        value = float(np.square(features.mean(0) - reference.mean(0)).sum())
        return Estimate(value, Influences(np.zeros(len(features)), np.zeros(len(reference))))


def means(batch):
    return [pixels.mean((0, 1)).astype(np.float32) for pixels in batch.pixels]


METRICS = (Tint,)
'''
COLUMN = """
[[columns]]
stem = "tint"
title = "Tint"
better = "lower"
kind = "tint"
what = "Squared distance of mean colours."
"""


@dataclass
class Tally:
    """What became of harmed runs."""

    tried: int = 0
    refused: int = 0
    lost: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """For the record."""
        survived = self.tried - len(self.lost)
        return f"{self.tried} tried, {survived} survived ({self.refused} told by a reader), {len(self.lost)} lost"


@dataclass(frozen=True)
class Patient:
    """A whole run, kept aside, and the place where copies of it are harmed.

    Attributes:
        words: The run's command.
        whole: The whole run's folder, under another output than the harmed ones.
        untimed: The same, reported without its runtimes.
        run: Where the command makes its run.
    """

    words: Sequence[str]
    whole: Path
    untimed: Path
    run: Path

    def restore(self) -> None:
        """Put the whole run in the place of the harmed one."""
        shutil.rmtree(self.run, ignore_errors=True)
        shutil.copytree(self.whole, self.run)

    def wrong(self, *, heal: bool = True) -> list[str]:
        """What is wrong with the harmed run; "told" where a reader refused or warned, as it should."""
        found = [*self._left_behind(), *self._read()]
        if heal:
            code, _, said = command(*self.words)
            if code != 0 or not self._is_sound(said):
                found.append(f"not healed: {code} {self._difference()} {said[-300:]}")
        return found

    def _is_sound(self, said: str, *, paged: bool = True) -> bool:
        """Whether tables and page are the whole run's; without runtimes where there are none, or that was said."""
        # The page shows the run's command, which a healing run puts right.
        own, whole, untimed_whole = (
            (numbers(run), page(run) if paged else b"") for run in (self.run, self.whole, self.untimed)
        )
        none = "timing.json" in said or not (timing_is_damaged(self.run) or "methods" in read_timing(self.run))
        untimed = none and own == untimed_whole
        return untimed or own == whole

    def _difference(self) -> str:
        own, whole = numbers(self.run), numbers(self.whole)
        names = [name for name in own.keys() | whole.keys() if own.get(name) != whole.get(name)]
        return ", ".join(sorted(names)) or "the page"

    def _left_behind(self) -> list[str]:
        """Tables that a kill left: whole ones of the whole run, or ones that say they are of an unfinished one."""
        sound = [numbers(self.whole), numbers(self.untimed)]
        return [
            f"wrong table {name}"
            for name, data in numbers(self.run).items()
            if data not in [known.get(name) for known in sound] and not _says_unfinished(name, data)
        ]

    def _read(self) -> list[str]:
        """What each reader makes of it."""
        run, found = str(self.run), []
        sound = {key: cell for key, cell in cells(self.whole).items()}
        code, out, said = command("report", run, "--json")
        told = (code in (3, 4) and "error" in said) or "unfinished" in said
        if code not in (0, 3, 4):
            found.append(f"report: {code} {said[-300:]}")
        elif code != 3:
            for key, cell in _cells(json.loads(out)).items():
                marked = cell["planned"] is not None or cell["reference_planned"] is not None
                if cell != sound.get(key) and not (code == 4 and (marked or cell["value"] is None)):
                    found.append(f"report: exit {code} with {key} {cell['value']}")
            if code == 0 and not self._is_sound(said, paged=False):
                found.append(f"report: exit 0 with another table or page: {self._difference()}")
        code, out, said = command("compare", run, "blocks", "blocks", "--json")
        if code == 0 and out != command("compare", str(self.whole), "blocks", "blocks", "--json")[1]:
            found.append("compare: exit 0 with another number")
        elif code not in (0, 3, 4):
            found.append(f"compare: {code} {said[-300:]}")
        code, out, said = command("gate", str(self.whole), run)
        if code not in (0, 3, 4):
            found.append(f"gate: {code} {said[-300:]} {out[-300:]}")
        found += self._frame()
        return found + (["told"] if told else [])

    def _frame(self) -> list[str]:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            try:
                frame = load_run(self.run)
            except BenchError:
                return []
            sound = load_run(self.whole).set_index(["method", "pass", "image", "protocol"])
        own = frame.set_index(["method", "pass", "image", "protocol"])
        there = sound.loc[own.index, own.columns]
        if not np.array_equal(there.select_dtypes("number"), own.select_dtypes("number"), equal_nan=True):
            return ["load_run: another number"]
        unsaid = len(own) < len(sound) and not any("Unfinished" in str(item.message) for item in warned)
        return ["load_run: rows lack unsaid"] if unsaid else []


def command(*words: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command line in this process."""
    out, talk = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(talk):
        code = main([*words])
    return code, out.getvalue(), talk.getvalue()


def tables(run: Path) -> dict[str, bytes]:
    """A run's tables by name."""
    files = sorted((run / "tables").rglob("*")) if (run / "tables").is_dir() else []
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in files if path.is_file()}


def numbers(run: Path) -> dict[str, bytes]:
    """What a run says in numbers, by name: its tables, and the file that travels, which also names the run."""
    return tables(run) | ({RESULTS: _without_command(run / RESULTS)} if (run / RESULTS).is_file() else {})


def page(run: Path) -> bytes:
    """The page of a run, with all its figures."""
    return _without_command(run / "index.html") if (run / "index.html").is_file() else b""


def _without_command(file: Path) -> bytes:
    """A file that shows its run's command, as words or as a list: begun afresh or not is no difference."""
    return re.sub(rb' --fresh|,\s*"--fresh"', b"", file.read_bytes())


def _says_unfinished(name: str, data: bytes) -> bool:
    """Whether a table, or the file that travels, says of itself that it is of an unfinished run."""
    return bool(json.loads(data)["unfinished"]) if name == RESULTS else b"unfinished" in data.lower()


def cells(run: Path) -> dict[Any, Any]:
    """(method, pass, column) -> cell of a run, as `report --json` says it."""
    code, out, said = command("report", str(run), "--json")
    assert code == 0, said
    return _cells(json.loads(out))


def _cells(answer: dict[str, Any]) -> dict[Any, Any]:
    return {(cell["method"], cell["pass"], cell["column"]): cell for cell in answer["cells"]}


class Killable:
    """A command line in a process group of its own, forked from a server that has imported everything."""

    def __init__(self, folder: Path, words: Sequence[str], plugins: Sequence[str] = (), **environment: str) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.e2e.survival"])
        self.process: ForkServerProcess = context.Process(
            target=_live, args=(str(folder), [*words], [*plugins], environment)
        )
        self.process.start()

    def children(self) -> list[int]:
        """Its worker processes."""
        try:
            found = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text(encoding="ascii")
        except OSError:
            return []
        return [int(number) for number in found.split()]

    def kill(self, whom: str, choice: int) -> bool:
        """SIGKILL the "parent" alone, one "worker", or the "group"; whether there was one."""
        pid = self.process.pid
        assert pid is not None
        if not self.process.is_alive():
            return False
        try:
            if whom == "group":
                os.killpg(pid, signal.SIGKILL)
            elif whom == "parent":
                os.kill(pid, signal.SIGKILL)
            else:
                workers = self.children()
                if not workers:
                    return False
                os.kill(workers[choice % len(workers)], signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def wait(self) -> int:
        """Until it and its workers have ended; returns its exit code."""
        left = self.children()
        self.process.join(300)
        deadline = time.monotonic() + 60
        while any(Path(f"/proc/{pid}").exists() for pid in left) and time.monotonic() < deadline:
            time.sleep(0.01)
        code = self.process.exitcode
        assert code is not None
        return code


def _live(folder: str, words: list[str], plugins: list[str], environment: dict[str, str]) -> None:
    os.setsid()
    os.chdir(folder)
    os.environ.update({"OMP_NUM_THREADS": "1", **environment})
    with Path("talk.txt").open("a", encoding="utf-8") as talk:
        sys.stdout = sys.stderr = talk
        load_plugins(plugins)
        code = main(words)
        talk.flush()
    os._exit(code)


__all__ = [
    "COLUMN",
    "METRIC",
    "Killable",
    "Patient",
    "Tally",
    "bench",
    "cells",
    "command",
    "numbers",
    "page",
    "reports",
    "tables",
]
