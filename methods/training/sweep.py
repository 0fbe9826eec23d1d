"""Choose the weights that the paper's text cannot settle for another world: lambda_F, and that of w-consistency.

    python -m methods.training.sweep --out RUNS --device cuda --jobs 16

One rule for StyleRes and WarpRes alike, on validation people: the highest mean PSNR to the asked truth over the
reconstruction, pose +-3 and smile +-3. First every lambda_F under the paper's losses; then, at each method's best one,
every weight of w-consistency. All are short trials from the common start. A grid whose least weight does best gets one
more, a third of it.
The trainings that follow take what was chosen from `sweep.json` (`chosen_by` in their recipes), which also keeps all
curves. A sweep that finds the first round of an earlier one, made from the same files, does the second alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.core.arguments import number, whole
from bench.core.errors import BenchError, ExitCode, MissingError
from bench.core.files import check_folder, read_json
from bench.core.metadata import read_metadata
from methods.training.journal import told
from methods.training.provenance import inputs
from methods.training.recipe import load_recipe, shipped_recipes

METHODS = ("styleres", "warpres")
LAMBDAS = (0.01, 0.03, 0.1, 0.3, 1.0)
CONSISTENCY = (0.03, 0.1, 0.3)
STEPS = 120  # of a trial under the paper's losses
CONSISTENT_STEPS = 250  # of a trial with w-consistency
RULE = "highest mean PSNR to the asked truth over reconstruction, pose+-3 and smile+-3, on validation people"
SCORE = "asked_psnr"
NAME, OUTPUT = "world/sweep", "sweep.json"


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


@dataclass(frozen=True)
class Settings:
    """How trials run: folder of all runs, device, how many at a time, steps of both rounds, when to stop."""

    runs: Path
    device: str
    jobs: int
    steps: int
    consistent_steps: int
    end: float | None = None

    @property
    def left(self) -> float | None:
        """Seconds that are left, at least 1; None: no end."""
        return None if self.end is None else max(1.0, self.end - time.monotonic())


def command(trial: Trial, settings: Settings) -> list[str]:
    """The command line that trains a trial."""
    needs = [name for name in load_recipe(trial.recipe).needs if name != OUTPUT]
    values: dict[str, Any] = {
        "name": trial.name,
        "output": "trial.safetensors",
        "needs": needs,
        "chosen_by": "",
        "seeds": [],
        "weights.regulariser": trial.regulariser,
        "weights.w_consistency": trial.w_consistency,
        "steps": settings.consistent_steps if trial.w_consistency else settings.steps,
    }
    sets = [part for key, value in values.items() for part in ("--set", f"{key}={json.dumps(value)}")]
    deadline = [] if settings.left is None else ["--deadline", f"{settings.left:.0f}"]
    common = ["--out", str(settings.runs), "--device", settings.device]
    return [sys.executable, "-m", "methods.training", trial.recipe, *common, *deadline, *sets]


def run(trials: Sequence[Trial], settings: Settings) -> list[Trial]:
    """Train trials side by side; those that came to their end, with their figures."""
    waiting, running, done = list(trials), list[tuple[Trial, subprocess.Popen[bytes]]](), list[Trial]()
    while waiting or running:
        while waiting and len(running) < settings.jobs:
            trial = waiting.pop(0)
            folder = settings.runs / trial.name
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / "output.log").open("ab") as log:
                process = subprocess.Popen(command(trial, settings), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
            running.append((trial, process))
        for trial, process in list(running):
            if process.poll() is not None:
                running.remove((trial, process))
                done += _finished(trial, settings)
        time.sleep(0.1)
    return done


def _finished(trial: Trial, settings: Settings) -> list[Trial]:
    path = settings.runs / trial.name / "trial.safetensors"
    if not path.is_file():
        _tell(f"{trial.name} did not come to its end: see {path.with_name('output.log')}")
        return []
    metadata = read_metadata(path)
    figures, made = metadata["held_out"], metadata["made"]
    _tell(f"{trial.name}: {SCORE} {figures[SCORE]:.2f}, reconstruction {figures['psnr']:.2f} dB")
    return [replace(trial, images=made["steps"] * made["batch"], figures=figures)]


def best(trials: Sequence[Trial], method: str) -> Trial | None:
    """A method's trial that the rule prefers; None where there is none."""
    of_method = [trial for trial in trials if trial.method == method]
    return max(of_method, key=lambda trial: trial.figures[SCORE], default=None)


def below(trials: Sequence[Trial], method: str) -> Trial | None:
    """The trial with a third of the least weight of a method's grid, where the least did best; else None."""
    own = [trial for trial in trials if trial.method == method]
    key = "w_consistency" if any(trial.w_consistency for trial in own) else "regulariser"
    found = best(own, method)
    if found is None or len(own) == 1 or getattr(found, key) > min(getattr(trial, key) for trial in own):
        return None
    return replace(found, **{key: round(getattr(found, key) / 3, 4), "images": 0, "figures": {}})


def _round(trials: Sequence[Trial], settings: Settings) -> list[Trial]:
    """Trials, and those below them."""
    done = run(trials, settings)
    return done + run([lower for method in METHODS if (lower := below(done, method))], settings)


def earlier(settings: Settings) -> list[Trial]:
    """The first round of the sweep that was made before from today's files; nothing if there was none."""
    path = settings.runs / NAME / OUTPUT
    if not path.is_file():
        return []
    content = read_json(path)
    if content["inputs"] != inputs(content["inputs"], settings.runs):
        return []
    return [Trial(**curve) for curve in content["curves"] if not curve["w_consistency"]]


def sweep(settings: Settings) -> tuple[list[Trial], list[Trial]]:
    """Trials under the paper's losses, and with w-consistency at each method's best lambda_F."""
    paper = earlier(settings) or _round([Trial(method, weight) for weight in LAMBDAS for method in METHODS], settings)
    found = {method: best(paper, method) for method in METHODS}
    second = [
        Trial(method, trial.regulariser, weight)
        for weight in CONSISTENCY
        for method, trial in found.items()
        if trial is not None
    ]
    return paper, _round(second, settings)


def chosen(paper: Sequence[Trial], consistent: Sequence[Trial]) -> dict[str, dict[str, float]]:
    """What each recipe of the chain that is `chosen_by` this sweep takes, by its name."""
    found = {}
    for name in shipped_recipes():
        if not name.startswith("world/") or name == NAME:
            continue
        recipe = load_recipe(name)
        if recipe.chosen_by != OUTPUT:
            continue
        asks = recipe.options.get("weights", {}).get("w_consistency", 0.0) > 0
        trial = best(consistent if asks else paper, recipe.options["model"])
        if trial is not None:
            found[name] = {"weights.regulariser": trial.regulariser}
            if asks:
                found[name]["weights.w_consistency"] = trial.w_consistency
    return found


def write(paper: Sequence[Trial], consistent: Sequence[Trial], settings: Settings) -> Path:
    """Write `sweep.json`. Raises MissingError where nothing could be chosen."""
    choice = chosen(paper, consistent)
    if not choice:
        raise MissingError("no trial of the sweep came to its end", f"see {settings.runs}/sweep/*/output.log")
    needs = sorted({name for trial in (*paper, *consistent) for name in load_recipe(trial.recipe).needs} - {OUTPUT})
    content = {
        "rule": RULE,
        "chosen": choice,
        "curves": [asdict(trial) for trial in (*paper, *consistent)],
        "inputs": inputs(needs, settings.runs),
    }
    path = settings.runs / NAME / OUTPUT
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return path


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code of a sweep."""
    parser = argparse.ArgumentParser(prog="python -m methods.training.sweep", description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("training-runs"), help="folder of all training runs")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--jobs", type=whole(1, 1024), default=os.cpu_count() or 1, help="trials at a time")
    parser.add_argument(
        "--budget", type=number(1e-9, 1000), default=1.0, help=f"times the {STEPS} or {CONSISTENT_STEPS} steps"
    )
    parser.add_argument("--deadline", type=number(0, 1e9), metavar="SECONDS", help="trials stop after so long")
    args = parser.parse_args(argv)
    end = None if args.deadline is None else time.monotonic() + args.deadline
    first, second = (max(1, round(count * args.budget)) for count in (STEPS, CONSISTENT_STEPS))
    settings = Settings(args.out, args.device, args.jobs, first, second, end)
    try:
        check_folder(args.out, "--out")
        path = write(*sweep(settings), settings)
    except BenchError as error:
        return told(error)
    print(path)
    return int(ExitCode.OK)


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
