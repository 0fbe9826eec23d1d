"""Whether the sweep's grids end too early: one weight below the least that was tried, from the shipped networks.

    python -m methods.training.sweep_edges --out RUNS --into bench/world/weights/sweep.json

Where the least weight of a grid was chosen, training goes on from the shipped network twice, with that weight and with
a third of it, for as many images. The common start of the sweep is not shipped, so these trials choose nothing: they
say by how much the sweep's rule would prefer less, and stand in `sweep.json` and in the card.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError, ExitCode
from bench.core.files import check_file, check_folder, read_json, write_atomic
from bench.core.metadata import read_metadata
from methods.training.extension import shipped_images
from methods.training.journal import tell, told
from methods.training.recipe import load_recipe
from methods.training.sweep import METHODS, SCORE, below, best
from methods.training.trials import Trial, train_all

IMAGES = 2400  # of a trial, beyond those that the shipped network saw


def trials(curves: Sequence[Mapping[str, Any]]) -> Iterator[Trial]:
    """For every grid of the sweep whose least weight did best: that weight, and a third of it."""
    tried = [Trial(**curve) for curve in curves]
    for method in METHODS:
        for consistent in (False, True):
            grid = [trial for trial in tried if (trial.w_consistency > 0) == consistent]
            lower, least = below(grid, method), best(grid, method)
            if lower and least:
                yield replace(least, images=0, figures={})
                yield lower


def command(trial: Trial, runs: Path, device: str) -> list[str]:
    """The command line that goes on from a trial's shipped network."""
    recipe = load_recipe(trial.recipe)
    images = shipped_images(recipe) + IMAGES
    # The rate falls from its full height, which another weight needs to make itself felt.
    values = {"steps": images // recipe.batch, "fall": round(IMAGES / images, 4)}
    return trial.command(values, runs, device, name=_name(trial), extend=True)


def _name(trial: Trial) -> str:
    return trial.name.replace("sweep/", "sweep-edges/")


def run(tried: Iterable[Trial], runs: Path, device: str) -> Iterator[Trial]:
    """Trials with their figures, one after another. Raises what `train_all` does."""
    of_folder = {runs / _name(trial): trial for trial in tried}
    for folder in train_all({folder: command(trial, runs, device) for folder, trial in of_folder.items()}, 1):
        trial = of_folder[folder]
        figures = read_metadata(folder / load_recipe(trial.recipe).output)["held_out"]
        tell(f"{_name(trial)}: {SCORE} {figures[SCORE]:.3f}, reconstruction {figures['psnr']:.2f} dB")
        yield replace(trial, images=IMAGES, figures=figures)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code of the trials at a sweep's edges."""
    parser = argparse.ArgumentParser(prog="python -m methods.training.sweep_edges", description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("training-runs"), help="folder of all training runs")
    parser.add_argument("--into", type=Path, required=True, help="the sweep.json that takes what was found")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args(argv)
    try:
        check_file(args.into, "--into")
        content = read_json(args.into)
        check_folder(args.out, "--out")
        found = [asdict(trial) for trial in run(trials(content["curves"]), args.out, args.device)]
        write_atomic(args.into, json.dumps(content | {"edges": found}, indent=1))
    except BenchError as error:
        return told(error)
    return int(ExitCode.OK)


if __name__ == "__main__":
    sys.exit(main())
