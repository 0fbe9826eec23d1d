"""Going on from a shipped network, for more steps than it had: its checkpoints are gone, its file is not.

The file holds what was trained, but neither the optimisers nor what learned beside it (a discriminator): those begin
anew, and the rate rises over the recipe's warm-up once more. The legs of the training say where.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.core.checkpoint import load_strict, read_checkpoint, state_dict_of, take
from bench.core.errors import MissingError, UsageError
from bench.core.files import write_atomic
from bench.world.networks import WEIGHTS
from methods.training.provenance import made_of
from methods.training.recipe import Recipe
from methods.training.task import Task


def shipped_network(recipe: Recipe) -> Path:
    """The shipped file of a recipe that now asks for more steps than the file had.

    Raises:
        MissingError: None is shipped.
        UsageError: It has as many steps.
    """
    path = WEIGHTS / recipe.output
    if not path.is_file():
        raise MissingError(f"no network of {recipe.name} is shipped", "train it from its start, without --extend")
    done = int(made_of(path).get("steps", 0))
    if done >= recipe.steps:
        raise UsageError(
            f"{recipe.output} was trained for {done} steps, and {recipe.name} says {recipe.steps}",
            f"ask for more, for example --set steps={2 * done}",
        )
    return path


def extend(task: Task, path: Path, folder: Path) -> list[dict[str, Any]]:
    """Load a shipped file into a task and go on with its log in the training's folder; the file's legs.

    Raises:
        MissingError: The file is of another network.
        UsageError: The task has no files to go on from.
    """
    parts, made = task.exported(), made_of(path)
    if not parts:
        raise UsageError(f"what made {path.name} cannot go on from it", "train it from its start, without --extend")
    tensors = state_dict_of(read_checkpoint(path))
    for prefix, module in parts.items():
        load_strict(module, take(tensors, prefix), f"{path.name} ({prefix}*)")
    log = path.parent / "logs" / f"{path.stem}.jsonl"
    if log.is_file():
        write_atomic(folder / "log.jsonl", log.read_text(encoding="utf-8"))
    return [{"batch": made["batch"], **leg} for leg in made["legs"]]  # legs did not always say their batch
