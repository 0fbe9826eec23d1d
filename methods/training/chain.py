"""A whole group of recipes ("world") in one command: what is missing or outdated is trained, in order, side by side.

Every step is a process of its own (`python -m methods.training RECIPE`), on a CPU with a core of its own. Stop it at
any moment and run the same command again: finished steps are current, begun ones carry on. A step that fails ends
those that need it and no others.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO

import torch

from bench.core.cores import cores
from bench.core.errors import BenchError, ExitCode, UsageError
from bench.core.files import explain_write_errors
from methods.training.chain_plan import Chain, Node
from methods.training.chain_report import report, standing
from methods.training.guard import locked
from methods.training.provenance import begun_otherwise
from methods.training.recipe import Recipe
from methods.training.task import Context

SAVING_SECONDS = 10.0  # before the deadline: what the steps get for their last checkpoint
PATIENCE_SECONDS = 30.0  # after asking a step to stop, until it is ended
SPEAK_EVERY_SECONDS = 15.0


@dataclass(frozen=True)
class Settings:
    """How a chain is run.

    Attributes:
        runs: Folder of all training runs.
        device: Of every step.
        jobs: Steps at a time.
        deadline: Seconds after which everything saves and stops; None: never.
    """

    runs: Path
    device: torch.device
    jobs: int
    deadline: float | None = None


@dataclass
class Running:
    """A step's process."""

    node: Node
    process: subprocess.Popen[bytes]
    slot: int
    log: IO[bytes]
    began: float = field(default_factory=time.monotonic)


def run_chain(chain: Chain, wanted: Sequence[Node], settings: Settings) -> int:
    """Run the wanted steps (of `chain.to_make`); print a table at the end. Returns the exit code.

    Raises UsageError where the system cannot end a step together with the processes it started, or another chain runs
    in the same folder.
    """
    if not hasattr(os, "killpg"):
        raise UsageError(
            "a chain of trainings stops its processes as Linux and macOS do, which this system cannot",
            "on Windows, run the same command inside WSL; a single recipe (world/e4e) trains here too",
        )
    runner = _Runner(chain, wanted, settings)
    with explain_write_errors(settings.runs, "--out"):
        settings.runs.mkdir(parents=True, exist_ok=True)
        with locked(settings.runs / "chain.lock", f"another chain trains in {settings.runs}"), runner.listening():
            runner.run()
        table = report(chain.nodes, runner.outcomes, settings.runs)
    print(table)
    if any(outcome.startswith(("failed", "not run")) for outcome in runner.outcomes.values()):
        return int(ExitCode.FAILED_CELLS)
    return int(ExitCode.INTERRUPTED if runner.stopping else ExitCode.OK)


class _Runner:
    def __init__(self, chain: Chain, wanted: Sequence[Node], settings: Settings) -> None:
        self.chain, self.settings = chain, settings
        self.waiting = sorted(wanted, key=self._weight, reverse=True)
        self.running: list[Running] = []
        self.outcomes: dict[str, str] = {}
        self.free = list(range(settings.jobs))
        self.stopping = False
        self.began = self.spoke = time.monotonic()
        self.asked: float | None = None

    # --- the schedule

    def run(self) -> None:
        while self.waiting or self.running:
            if self._late():
                self.stopping = True
            if self.stopping:
                self._stop_all()
            else:
                self._launch_ready()
            self._collect()
            self._speak()
            time.sleep(0.1)

    def _weight(self, node: Node) -> float:
        """Images from this step to the last that needs it: the longest path goes first."""
        recipe = node.content
        own = recipe.steps * recipe.batch * node.budget if isinstance(recipe, Recipe) else 0.0
        return own + max(
            (self._weight(other) for other in self.chain.nodes if node in self.chain.before(other)), default=0
        )

    def _late(self) -> bool:
        deadline = self.settings.deadline
        return deadline is not None and time.monotonic() - self.began > deadline - SAVING_SECONDS

    def _launch_ready(self) -> None:
        unfinished = {node.name for node in self.waiting} | {each.node.name for each in self.running}
        for node in list(self.waiting):
            before = [each.name for each in self.chain.before(node)]
            failed = [name for name in before if self.outcomes.get(name, "made") != "made"]
            if failed:
                self._settle(node, f"not run: {failed[0]} was not made")
            elif self.free and not any(name in unfinished for name in before):
                self._launch(node)

    def _launch(self, node: Node) -> None:
        self.waiting.remove(node)
        folder = self.settings.runs / node.name
        folder.mkdir(parents=True, exist_ok=True)
        try:
            command = self._command(node, folder)
        except BenchError as error:
            self._settle(node, f"failed: {error.what}")
            return
        slot = self.free.pop(0)
        log = (folder / "output.log").open("ab")
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=_environment(),
            start_new_session=True,  # Ctrl-C comes to us, and we ask the steps to save
        )  # fmt: skip
        if isinstance(node.content, Recipe):
            self._pin(process.pid, slot)
        self.running.append(Running(node, process, slot, log))
        self._say(f"{node.name}: begun")

    def _command(self, node: Node, folder: Path) -> list[str]:
        settings = self.settings
        common = ["--out", str(settings.runs), "--device", str(settings.device), "--budget", str(node.budget)]
        if not isinstance(node.content, Recipe):
            left = [] if settings.deadline is None else ["--deadline", f"{self._left():.0f}"]
            return [sys.executable, "-m", node.content.program, *common, "--jobs", str(settings.jobs), *left]
        recipe = node.recipe(settings.runs)
        assert recipe is not None
        fresh = ["--fresh"] if begun_otherwise(folder, recipe, Context(settings.runs, settings.device)) else []
        return [sys.executable, "-m", "methods.training", node.name, *common, *fresh]

    def _left(self) -> float:
        assert self.settings.deadline is not None
        return max(1.0, self.settings.deadline - SAVING_SECONDS - (time.monotonic() - self.began))

    def _pin(self, pid: int, slot: int) -> None:
        """A core a training, where cores compute and there are enough of them; programs have processes of their own."""
        there = cores()
        if self.settings.device.type == "cpu" and self.settings.jobs <= len(there) and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(pid, {there[slot]})

    # --- its end

    def _collect(self) -> None:
        for each in list(self.running):
            code = each.process.poll()
            if code is None:
                continue
            each.log.close()
            self.running.remove(each)
            self.free = sorted([*self.free, each.slot])
            self._settle(each.node, self._outcome(each, code))

    def _outcome(self, each: Running, code: int) -> str:
        if (self.settings.runs / each.node.name / each.node.output).is_file() and code == 0:
            return "made"
        if self.stopping and code in (0, int(ExitCode.INTERRUPTED), -signal.SIGTERM):
            return "stopped"
        return f"failed: exit code {code}, see {self.settings.runs / each.node.name / 'output.log'}"

    def _settle(self, node: Node, outcome: str) -> None:
        self.waiting = [other for other in self.waiting if other is not node]
        self.outcomes[node.name] = outcome
        self._say(f"{node.name}: {outcome}  {standing(self.settings.runs / node.name)}")

    def _stop_all(self) -> None:
        for node in self.waiting:
            self.outcomes[node.name] = "not begun"
        self.waiting = []
        now = time.monotonic()
        if self.asked is None:
            self.asked = now
            self._signal(signal.SIGTERM)
        elif now - self.asked > PATIENCE_SECONDS:
            self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        for each in self.running:
            if each.process.poll() is None:
                os.killpg(each.process.pid, number)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """SIGINT and SIGTERM let every step save and stop."""

        def heard(number: int, frame: FrameType | None) -> None:
            self.stopping = True

        before = {number: signal.signal(number, heard) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self._signal(signal.SIGKILL)

    def _speak(self) -> None:
        if time.monotonic() - self.spoke < SPEAK_EVERY_SECONDS:
            return
        self.spoke = time.monotonic()
        for each in self.running:
            self._say(f"{each.node.name}: {standing(self.settings.runs / each.node.name)}")

    def _say(self, text: str) -> None:
        print(f"[{time.monotonic() - self.began:4.0f} s] {text}", file=sys.stderr, flush=True)


def _environment() -> dict[str, str]:
    """One thread a process, and no torchrun of ours."""
    one = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    taken = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
    return taken | one
