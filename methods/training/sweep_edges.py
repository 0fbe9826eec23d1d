"""Whether the sweep's grids end too early: one weight below the least that was tried, from the shipped networks.

    python -m methods.training.sweep_edges --out RUNS --into bench/world/weights/sweep.json

Where the least weight of a grid was chosen, training goes on from the shipped network twice, with that weight and with
a third of it, for as many images. The common start of the sweep is not shipped, so these trials choose nothing: they
say by how much the sweep's rule would prefer less, and stand in `sweep.json` and in the card.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError, ExitCode, MissingError
from bench.core.files import check_file, read_json, write_atomic
from bench.core.metadata import read_metadata
from methods.training.extension import shipped_images
from methods.training.journal import told
from methods.training.recipe import load_recipe
from methods.training.sweep import METHODS, SCORE, Trial, below, best

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
    values = {
        "name": _name(trial),
        "chosen_by": "",
        "seeds": [],
        "weights.regulariser": trial.regulariser,
        "weights.w_consistency": trial.w_consistency,
        "steps": images // recipe.batch,
        "fall": round(IMAGES / images, 4),  # from the full rate, which another weight needs to make itself felt
    }
    sets = [part for key, value in values.items() for part in ("--set", f"{key}={json.dumps(value)}")]
    common = ["--out", str(runs), "--device", device]
    return [sys.executable, "-m", "methods.training", trial.recipe, "--extend", *common, *sets]


def _name(trial: Trial) -> str:
    return trial.name.replace("sweep/", "sweep-edges/")


def run(trial: Trial, runs: Path, device: str) -> Trial:
    """A trial with its figures. Raises MissingError where its training failed."""
    folder = runs / _name(trial)
    folder.mkdir(parents=True, exist_ok=True)
    output = folder / load_recipe(trial.recipe).output
    with (folder / "output.log").open("ab") as log:
        if not output.is_file():
            subprocess.run(command(trial, runs, device), stdout=log, stderr=log, stdin=subprocess.DEVNULL, check=False)
    if not output.is_file():
        raise MissingError(f"{_name(trial)} did not come to its end", f"see {folder / 'output.log'}")
    figures = read_metadata(output)["held_out"]
    print(f"{_name(trial)}: {SCORE} {figures[SCORE]:.3f}, reconstruction {figures['psnr']:.2f} dB", file=sys.stderr)
    return replace(trial, images=IMAGES, figures=figures)


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
        found = [asdict(run(trial, args.out, args.device)) for trial in trials(content["curves"])]
        write_atomic(args.into, json.dumps(content | {"edges": found}, indent=1))
    except BenchError as error:
        return told(error)
    return int(ExitCode.OK)


if __name__ == "__main__":
    sys.exit(main())
