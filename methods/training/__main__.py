"""python -m methods.training RECIPE [--out DIR]: train by recipe; run it again to carry on after a stop."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import torch

from bench.core.errors import BenchError, ExitCode, MissingError
from methods.training.loop import train
from methods.training.processes import Processes
from methods.training.recipe import load_recipe, shipped_recipes
from methods.training.task import Context, choose_device

EPILOG = """
examples:
  python -m methods.training world/e4e --until 100              a first hundred steps; the next run carries on
  python -m methods.training world/styleres --set weights.regulariser=1.0 --out trials
  torchrun --nproc-per-node 2 -m methods.training world/e4e     two processes share every batch
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code of a training run."""
    args = _parser().parse_args(argv)
    torch.set_num_threads(args.threads)
    try:
        return _train(args)
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return int(error.exit_code)
    except KeyboardInterrupt:
        print("stopped; run the same command to carry on from the last checkpoint", file=sys.stderr)
        return int(ExitCode.INTERRUPTED)


def _parser() -> argparse.ArgumentParser:
    shipped = ", ".join(shipped_recipes())
    parser = argparse.ArgumentParser(
        prog="python -m methods.training",
        description=f"{__doc__} Shipped: {shipped}.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("recipe", help="a shipped recipe's name or a TOML file")
    parser.add_argument("--out", type=Path, default=Path("training-runs"), help="folder of all training runs")
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:N or mps")
    parser.add_argument("--threads", type=int, default=1, help="threads of a process (default 1: a process a core)")
    parser.add_argument("--until", type=int, metavar="STEP", help="stop after this step; the next run carries on")
    parser.add_argument("--deadline", type=float, metavar="SECONDS", help="save and stop after so long")
    parser.add_argument("--data", type=Path, help="folder or archive of pictures, for recipes that train on real ones")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a value of the recipe, e.g. batch=64"
    )
    return parser


def _train(args: argparse.Namespace) -> int:
    recipe = load_recipe(args.recipe, args.set)
    if args.data is not None and not args.data.exists():
        raise MissingError(f"no folder or archive {args.data}", "--data is where the training pictures lie")
    device = choose_device(args.device)
    if device == torch.device("cuda") and "LOCAL_RANK" in os.environ:
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
        torch.cuda.set_device(device)
    processes = Processes.join(device)
    try:
        context = Context(args.out, device, processes, args.data)
        processes.size_of_part(recipe.batch)
        torch.manual_seed(recipe.seed)
        task = import_module(f"methods.training.tasks.{recipe.task}").build(recipe, context)
        folder = args.out / recipe.name
        ended = train(task, recipe, folder, context, until=args.until, deadline=args.deadline)
    finally:
        processes.leave()
    return int(ExitCode.INTERRUPTED if ended.signalled and not ended.finished else ExitCode.OK)


if __name__ == "__main__":
    sys.exit(main())
