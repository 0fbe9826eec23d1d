"""python -m methods.training RECIPE [--out DIR]: train by recipe; run it again to carry on after a stop.

With the name of a group ("world") all its recipes that are missing or outdated are trained, in order.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from textwrap import fill
from time import monotonic

import torch

from bench.core.arguments import number, whole
from bench.core.cores import cores
from bench.core.device import out_of_memory
from bench.core.errors import BenchError, ExitCode, MissingError, UsageError
from bench.core.files import check_folder, explain_write_errors
from bench.core.text_table import WIDTH
from methods.nets.memory import keep_pages
from methods.training.arithmetic import NAMES, settled
from methods.training.chain import Settings, run_chain
from methods.training.chain_plan import Chain
from methods.training.chain_report import plan
from methods.training.extension import of_shipped_length, shipped_network
from methods.training.journal import told
from methods.training.loop import train
from methods.training.processes import Processes
from methods.training.provenance import chosen_recipe
from methods.training.recipe import shipped_recipes
from methods.training.task import ON_REAL_IMAGES, Context, choose_device

MOST_BUDGET = 1000
EPILOG = """
examples:
  python -m methods.training world/e4e --until 100
      a first hundred steps; the next run carries on
  python -m methods.training world/styleres --set weights.regulariser=1.0
      with another value
  python -m methods.training world/warpres --extend --set steps=4000
      the shipped network, trained further
  python -m methods.training world --list
      what the whole chain would train, and why
  python -m methods.training world --only teacher warpres --deadline 3600
      for an hour, in which warpres waits for the teacher
  torchrun --nproc-per-node 2 -m methods.training world/e4e
      two processes share every batch
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code of a training run."""
    began = monotonic()
    args = _parser().parse_args(argv)
    torch.set_num_threads(args.threads or 1)
    keep_pages()
    try:
        check_folder(args.out, "--out")
        group = not args.recipe.endswith(".toml") and "/" not in args.recipe
        return _chain(args) if group else _train(args, began)
    except BenchError as error:
        return told(error)
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        return told(MissingError("out of memory", "a smaller batch needs less: --set batch=N"))
    except BrokenPipeError:
        # The reader went away (`| head`); there is nobody left to tell.
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115
        return int(ExitCode.OK)
    except KeyboardInterrupt:
        print("stopped; run the same command to carry on from the last checkpoint", file=sys.stderr)
        return int(ExitCode.INTERRUPTED)


def _parser() -> argparse.ArgumentParser:
    about = (__doc__ or "", f"Shipped: {', '.join(shipped_recipes())}.")
    parser = argparse.ArgumentParser(
        prog="python -m methods.training",
        description="\n\n".join(fill(text, WIDTH, break_on_hyphens=False) for text in about),
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("recipe", help="a shipped recipe's name, a TOML file, or a group (world)")
    parser.add_argument("--out", type=Path, default=Path("training-runs"), help="folder of all training runs")
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:N or mps")
    parser.add_argument(
        "--arithmetic",
        default="auto",
        choices=("auto", *NAMES),
        help="of recipes for bfloat16: auto (default) takes float32 on a CPU that is faster in it, and carries on in "
        "that of a checkpoint",
    )
    parser.add_argument(
        "--threads", type=whole(1, 1024), help="threads of one recipe's process (default 1: a process a core)"
    )
    parser.add_argument("--until", type=whole(1), metavar="STEP", help="stop after this step; the next run carries on")
    parser.add_argument("--deadline", type=number(0, 1e9), metavar="SECONDS", help="save and stop after so long")
    parser.add_argument(
        "--budget", action="append", default=[], metavar="X", help="times the recipe's steps; of one in a group: NAME=X"
    )
    parser.add_argument("--fresh", action="store_true", help="begin anew, whatever was trained so far")
    parser.add_argument(
        "--extend",
        action="store_true",
        help="go on from the shipped network, which saw fewer images than asked for",
    )
    parser.add_argument("--data", type=Path, help="folder or archive of images, for recipes that train on real ones")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change a value of the recipe, e.g. batch=64"
    )
    group = parser.add_argument_group("of a group")
    group.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these, and what they need and is missing")
    group.add_argument("--jobs", type=whole(1, 1024), help="recipes at a time (default: one a core)")
    group.add_argument("--list", action="store_true", help="say what would be trained, and why; train nothing")
    return parser


def _chain(args: argparse.Namespace) -> int:
    if args.set or args.until or args.fresh or args.extend or args.data or args.threads or args.arithmetic != "auto":
        raise UsageError(
            "--set, --until, --fresh, --extend, --data, --threads and --arithmetic are for one recipe, not a group"
        )
    budget, budgets = _budgets(args.budget)
    chain = Chain.of(args.recipe, budgets, budget)
    wanted = chain.to_make(args.out, args.only, args.recipe)
    if args.list:
        print(plan(chain, wanted, args.out))
        return int(ExitCode.OK)
    jobs = len(cores()) if args.jobs is None else args.jobs
    return run_chain(chain, wanted, Settings(args.out, choose_device(args.device), jobs, args.deadline))


def _budgets(texts: Sequence[str]) -> tuple[float, dict[str, float]]:
    """The budget of all, and those of single recipes."""
    factors: dict[str, float] = {}
    for text in texts:
        name, _, value = text.rpartition("=")
        try:
            factors[name] = float(value)
        except ValueError:
            factors[name] = 0.0
        if not 0 < factors[name] <= MOST_BUDGET:
            raise UsageError(
                f"--budget {text} is no number above 0 and up to {MOST_BUDGET}",
                "for example --budget 0.5 or --budget teacher=2",
            )
    return factors.pop("", 1.0), factors


def _train(args: argparse.Namespace, began: float) -> int:
    if args.only or args.jobs or args.list:
        raise UsageError("--only, --jobs and --list are for a group of recipes", "python -m methods.training world ...")
    recipe = chosen_recipe(args.recipe, args.out, args.set)
    budget, budgets = _budgets(args.budget)
    for name, factor in budgets.items():
        if name not in (args.recipe, args.recipe.rpartition("/")[2]):
            raise UsageError(f"--budget {name}=... is of another recipe than {args.recipe}", "--budget X")
        budget = factor
    recipe = recipe.scaled(budget)
    if args.data is not None and recipe.task not in ON_REAL_IMAGES:
        raise UsageError(f"{recipe.name} draws its own images", "the same command without --data")
    if args.data is not None and not args.data.exists():
        raise MissingError(f"no folder or archive {args.data}", "--data is where the training images lie")
    device = choose_device(args.device)
    if device == torch.device("cuda") and "LOCAL_RANK" in os.environ:
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
        torch.cuda.set_device(device)
    processes = Processes.join(device)
    try:
        context = Context(
            args.out, device, processes, args.data, shipped=shipped_network(recipe) if args.extend else None
        )
        processes.size_of_part(recipe.batch)
        recipe = settled(recipe, context, args.arithmetic, fresh=args.fresh)
        torch.manual_seed(recipe.seed)
        with explain_write_errors(args.out, "--out"):
            built_of = of_shipped_length(recipe) if args.extend else recipe
            task = import_module(f"methods.training.tasks.{recipe.task}").build(built_of, context)
        folder = args.out / recipe.name
        # What was loaded and drawn for the first step has taken some of the time.
        left = None if args.deadline is None else max(0.0, args.deadline - (monotonic() - began))
        ended = train(task, recipe, folder, context, until=args.until, deadline=left, fresh=args.fresh)
    finally:
        processes.leave()
    return int(ExitCode.INTERRUPTED if ended.signalled and not ended.finished else ExitCode.OK)


if __name__ == "__main__":
    sys.exit(main())
