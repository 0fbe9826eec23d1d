"""Trials of a sweep: short trainings with other weights, each a process of its own, several side by side."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError, ExitCode, MissingError
from methods.training.extension import shipped_network
from methods.training.guard import Stop
from methods.training.journal import tell
from methods.training.provenance import begun_otherwise
from methods.training.recipe import load_recipe
from methods.training.task import Context


class UnfinishedError(BenchError):
    """Trials were stopped before their ends; what they had is saved."""

    exit_code = ExitCode.INTERRUPTED


@dataclass(frozen=True)
class Trial:
    """One short training.

    Attributes:
        method: "styleres" or "warpres".
        regulariser: lambda_F.
        w_consistency: Its weight; 0 under the paper's losses.
        images: How many it saw, when it is done.
        figures: What validation people say of it then.
    """

    method: str
    regulariser: float
    w_consistency: float = 0.0
    images: int = 0
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def recipe(self) -> str:
        """The recipe that it shortens: the method's own, or the paper's where w-consistency is off."""
        return f"world/{self.method}" if self.w_consistency else f"world/{self.method}-paper"

    @property
    def name(self) -> str:
        """Of its folder below the runs; not below `world/`, where finished parts are looked for."""
        return f"sweep/{self.method}-f{self.regulariser:g}-w{self.w_consistency:g}"

    def command(
        self, values: Mapping[str, Any], runs: Path, device: str, *, name: str = "", extend: bool = False
    ) -> list[str]:
        """The command line that trains it: its recipe with its weights and further `values`, by dotted key.

        It begins anew where its folder holds what other values or other files made.

        Args:
            name: Of its folder, if not its own.
            extend: Go on from the recipe's shipped network.
        """
        own = {"name": name or self.name, "chosen_by": "", "seeds": []}
        weights = {"weights.regulariser": self.regulariser, "weights.w_consistency": self.w_consistency}
        changes = [f"{key}={json.dumps(value)}" for key, value in {**own, **weights, **values}.items()]
        recipe = load_recipe(self.recipe, changes)
        context = Context(runs, shipped=shipped_network(recipe) if extend else None)
        switches = ["--extend"] if extend else []
        if begun_otherwise(runs / recipe.name, recipe, context):
            switches.append("--fresh")
        sets = [part for change in changes for part in ("--set", change)]
        where = ["--out", str(runs), "--device", device]
        return [sys.executable, "-m", "methods.training", self.recipe, *switches, *where, *sets]


def train_all(lines: Mapping[Path, Sequence[str]], jobs: int, seconds: float | None = None) -> Iterator[Path]:
    """Run the command lines of trainings side by side, each with what it says in its folder's `output.log`.

    Yields the folders of those that came to their last step, as they do; those that diverged are told of.

    Raises:
        UnfinishedError: A signal came first, or `seconds` had passed; the trainings have saved by then.
        MissingError: One of them failed.
    """
    waiting, running = list(lines.items()), dict[Path, subprocess.Popen[bytes]]()
    with Stop(seconds).listening() as stop:
        try:
            while (waiting or running) and not stop.wanted:
                while waiting and len(running) < jobs:
                    folder, line = waiting.pop(0)
                    running[folder] = _started(folder, line)
                for folder, process in list(running.items()):
                    if process.poll() is not None:
                        del running[folder]
                        if _came_to_its_end(folder, process.returncode):
                            yield folder
                time.sleep(0.1)
            if waiting or running:
                raise UnfinishedError("stopped before all trials had ended", "the same command carries on with them")
        finally:
            for process in running.values():
                process.terminate()
            for process in running.values():
                process.wait()


def _started(folder: Path, line: Sequence[str]) -> subprocess.Popen[bytes]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "output.log").open("ab") as log:
        # In a session of its own: Ctrl-C comes to us alone, and a second one would end it before it has saved.
        return subprocess.Popen(line, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)


def _came_to_its_end(folder: Path, code: int) -> bool:
    log = folder / "output.log"
    if code == ExitCode.DIVERGED:
        tell(f"{folder.name} is left out, for it diverged: see {log}")
    elif code:
        raise MissingError(
            f"{folder.name} failed with exit code {code}: see {log}", "the same command again keeps what is done"
        )
    return code == 0
