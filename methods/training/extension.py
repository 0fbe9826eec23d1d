"""Going on from a shipped network, for more images than it had: its checkpoints are gone, its file is not.

It stands at the step where the recipe, by its batch of today, has seen as many images. The file holds what was trained,
but neither the optimisers nor what learned beside it (a discriminator): those begin anew, and the rate rises over the
recipe's warm-up once more. The legs of the training say where. Phases that are shares of the steps (regressing known
codes first) are over: to the task the training is as long as the shipped one was.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.core.checkpoint import load_strict, read_checkpoint, state_dict_of, take
from bench.core.errors import MissingError, UsageError
from bench.core.files import write_atomic
from bench.world.networks import WEIGHTS
from methods.training.provenance import made_of
from methods.training.recipe import Recipe
from methods.training.task import ON_REAL_IMAGES, Task


def shipped_network(recipe: Recipe) -> Path:
    """The shipped file of a recipe that now asks for more images than the file saw.

    Raises:
        MissingError: None is shipped.
        UsageError: It saw as many.
    """
    path = _shipped(recipe)
    done = _images(path) // recipe.batch
    if done >= recipe.steps:
        raise UsageError(
            f"{recipe.output} saw the images of {done} steps of {recipe.batch}, and {recipe.name} says {recipe.steps}",
            f"ask for more, for example --set steps={2 * done}",
        )
    return path


def of_shipped_length(recipe: Recipe) -> Recipe:
    """The recipe with as many steps as its shipped network has seen the images of."""
    return replace(recipe, steps=shipped_images(recipe) // recipe.batch)


def shipped_images(recipe: Recipe) -> int:
    """How many images the shipped network of a recipe saw. Raises MissingError where none is shipped."""
    return _images(_shipped(recipe))


def _shipped(recipe: Recipe) -> Path:
    path = WEIGHTS / recipe.output
    if not path.is_file() or recipe.task in ON_REAL_IMAGES:  # others' outputs have the same names
        raise MissingError(f"no network of {recipe.name} is shipped", "train it from its start, without --extend")
    return path


def _images(path: Path) -> int:
    return int(made_of(path).get("pictures", 0))


def extend(task: Task, path: Path, batch: int) -> tuple[int, list[dict[str, Any]]]:
    """Load a shipped file into a task.

    Args:
        batch: Of the recipe.

    Returns:
        The step it stands at, and its legs.

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
    legs = [{"batch": made["batch"], **leg} for leg in made["legs"]]  # legs did not always say their batch
    return made["pictures"] // batch, legs


def go_on_with_log(path: Path, batch: int, folder: Path) -> None:
    """Begin a training's log in `folder` with that of the shipped file it goes on from, in steps of `batch` images."""
    log = path.parent / "logs" / f"{path.stem}.jsonl"
    if log.is_file():
        of_one = made_of(path)["batch"]
        records = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        scaled = [{**record, "step": record["step"] * of_one // batch} for record in records]
        write_atomic(folder / "log.jsonl", "".join(f"{json.dumps(record)}\n" for record in scaled))
