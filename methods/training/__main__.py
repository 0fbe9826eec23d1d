"""python -m methods.training RECIPE [--out DIR]: train by recipe; run it again to carry on after a stop."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path

import torch

from bench.errors import BenchError, ExitCode
from methods.training.loop import train
from methods.training.recipe import RECIPES, load_recipe


def main(argv: list[str] | None = None) -> int:
    """Exit code of a training run."""
    shipped = ", ".join(sorted(file.stem for file in RECIPES.glob("*.toml")))
    parser = argparse.ArgumentParser(prog="python -m methods.training", description=f"{__doc__} Shipped: {shipped}.")
    parser.add_argument("recipe", help="a shipped recipe's name or a TOML file")
    parser.add_argument("--out", type=Path, default=Path("training-runs"), help="folder of all training runs")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--until", type=int, help="stop after this step; the next run carries on")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    try:
        recipe = load_recipe(args.recipe)
        torch.manual_seed(recipe.seed)
        task = import_module(f"methods.training.tasks.{recipe.task}").build(recipe, args.out)
        train(task, recipe, args.out / recipe.name, until=args.until)
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return int(error.exit_code)
    except KeyboardInterrupt:
        print("stopped; run the same command to carry on from the last checkpoint", file=sys.stderr)
        return int(ExitCode.INTERRUPTED)
    return 0


if __name__ == "__main__":
    sys.exit(main())
