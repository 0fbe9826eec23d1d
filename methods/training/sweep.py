"""Choose the weights that the paper's text cannot settle for another world: lambda_F, and that of w-consistency.

    python -m methods.training.sweep --out RUNS --device cuda --jobs 16

One rule for StyleRes and WarpRes alike, on validation people: the highest mean PSNR to the asked truth over the
reconstruction, pose +-3 and smile +-3. First every lambda_F under the paper's losses; then, at each method's best one,
every weight of w-consistency. All are short trials from the common start. A grid whose least weight does best gets one
more, a third of it.
The trainings that follow take what was chosen from `sweep.json` (`chosen_by` in their recipes), which also keeps all
curves. A sweep that finds the first round of an earlier one, made from the same files, does the second alone. One that
is stopped chooses nothing; the same command carries on with its trials.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from bench.core.arguments import number, whole
from bench.core.errors import BenchError, ExitCode, MissingError
from bench.core.files import check_folder, explain_write_errors, read_json, write_atomic
from bench.core.metadata import read_metadata
from methods.training.journal import tell, told
from methods.training.provenance import inputs
from methods.training.recipe import load_recipe, shipped_recipes
from methods.training.trials import Trial, train_all

METHODS = ("styleres", "warpres")
LAMBDAS = (0.01, 0.03, 0.1, 0.3, 1.0)
CONSISTENCY = (0.03, 0.1, 0.3)
STEPS = 120  # of a trial under the paper's losses
CONSISTENT_STEPS = 250  # of a trial with w-consistency
RULE = "highest mean PSNR to the asked truth over reconstruction, pose+-3 and smile+-3, on validation people"
SCORE = "asked_psnr"
NAME, OUTPUT, TRIAL_OUTPUT = "world/sweep", "sweep.json", "trial.safetensors"


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
        """Seconds that are left; None: no end."""
        return None if self.end is None else self.end - time.monotonic()

    def steps_of(self, trial: Trial) -> int:
        """Steps of a trial, by the round that it is of."""
        return self.consistent_steps if trial.w_consistency else self.steps


def command(trial: Trial, settings: Settings) -> list[str]:
    """The command line that trains a trial."""
    needs = [name for name in load_recipe(trial.recipe).needs if name != OUTPUT]
    values = {"output": TRIAL_OUTPUT, "needs": needs, "steps": settings.steps_of(trial)}
    return trial.command(values, settings.runs, settings.device)


def run(trials: Sequence[Trial], settings: Settings) -> list[Trial]:
    """Train trials side by side; with their figures, but without those that diverged. Raises what `train_all` does."""
    of_folder = {settings.runs / trial.name: trial for trial in trials}
    lines = {folder: command(trial, settings) for folder, trial in of_folder.items()}
    ended = train_all(lines, settings.jobs, settings.left)
    return [_measured(of_folder[folder], folder / TRIAL_OUTPUT) for folder in ended]


def _measured(trial: Trial, path: Path) -> Trial:
    metadata = read_metadata(path)
    figures = metadata["held_out"]
    tell(f"{trial.name}: {SCORE} {figures[SCORE]:.2f}, reconstruction {figures['psnr']:.2f} dB")
    return replace(trial, images=metadata["made"]["pictures"], figures=figures)


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
    """The first round of a sweep that was made before from today's files, as long; nothing if there was none."""
    path = settings.runs / NAME / OUTPUT
    if not path.is_file():
        return []
    content = read_json(path)
    if content["inputs"] != inputs(content["inputs"], settings.runs):
        return []
    found = [Trial(**curve) for curve in content["curves"] if not curve["w_consistency"]]
    as_long = all(trial.images == settings.steps_of(trial) * load_recipe(trial.recipe).batch for trial in found)
    return found if as_long else []


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
    write_atomic(path, json.dumps(content, indent=1))
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
        with explain_write_errors(args.out, "--out"):
            path = write(*sweep(settings), settings)
    except BenchError as error:
        return told(error)
    print(path)
    return int(ExitCode.OK)


if __name__ == "__main__":
    sys.exit(main())
