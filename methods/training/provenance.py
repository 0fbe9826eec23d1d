"""How a file of weights was made, and whether it still is what its recipe makes."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from bench.core.checkpoint import file_digest
from bench.core.errors import MissingError
from bench.core.files import read_json
from bench.core.metadata import read_metadata
from methods.training.checkpoints import newest_note
from methods.training.recipe import Recipe, load_recipe
from methods.training.task import Context
from methods.training.world import find


def inputs(needs: Iterable[str], runs: Path) -> dict[str, str]:
    """SHA-256 of the files that a training starts from, by name. Raises MissingError naming the one that is absent."""
    return {name: file_digest(find(name, runs)) for name in needs}


def key(recipe: Recipe, context: Context) -> str:
    """SHA-256 of everything that decides a training's result: its recipe's values and the files it starts from.

    Raises MissingError where one of these is absent.
    """
    content = json.dumps([recipe.digest, _inputs(recipe, context)[0]], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def begun_otherwise(folder: Path, recipe: Recipe, context: Context) -> bool:
    """Whether a folder's newest checkpoint is of other values, or from other files, than a recipe's of today."""
    note = newest_note(folder)
    return note.step > 0 and note.key != key(recipe, context)


def _inputs(recipe: Recipe, context: Context) -> tuple[dict[str, str], dict[str, str]]:
    """Digests of the files that a training starts from and of the recipes that made them, by name.

    What a shipped file started from and is no longer here is as that file says.
    """
    digests, recipes = dict[str, str](), dict[str, str]()
    before = {} if context.shipped is None else made_of(context.shipped)
    for name in recipe.needs:
        try:
            digests |= inputs([name], context.runs)
            recipes[name] = made_of(find(name, context.runs)).get("recipe_digest", "")
        except MissingError:
            if name not in before.get("inputs", {}):
                raise
            digests[name], recipes[name] = before["inputs"][name], before.get("input_recipes", {}).get(name, "")
    return digests, recipes


def provenance(
    recipe: Recipe, legs: Sequence[Mapping[str, Any]], context: Context, given: Mapping[str, str]
) -> dict[str, Any]:
    """How a file of weights was made: all legs of its training, and what it started from (`Task.given` among it)."""
    digests, recipes = _inputs(recipe, context)
    return {
        "recipe": recipe.name,
        "recipe_digest": recipe.digest,
        "seed": recipe.seed,
        "steps": recipe.steps,
        "batch": recipe.batch,
        "average": recipe.average,
        "pictures": sum((leg["to"] - leg["from"]) * leg.get("batch", recipe.batch) for leg in legs),
        "wall_time_s": round(sum(leg["seconds"] for leg in legs)),
        "torch": str(torch.__version__),
        "legs": [dict(leg) for leg in legs],
        "inputs": {**digests, **given},
        "input_recipes": recipes,
    }


def made_of(path: Path) -> dict[str, Any]:
    """A file's own account of how it was made; empty where it has none."""
    if path.suffix == ".json":
        return _plain(path)
    try:
        return dict(read_metadata(path).get("made", {}))
    except (MissingError, ValueError, TypeError):
        return {}


def _plain(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def chosen_recipe(name: str, runs: Path, changes: Sequence[str] = ()) -> Recipe:
    """A recipe with what was chosen for it (`chosen_by`), and then `changes`."""
    recipe = load_recipe(name, changes)
    if not recipe.chosen_by:
        return recipe
    return load_recipe(name, [*chosen(recipe.chosen_by, recipe.name, runs), *changes])


def chosen(file: str, name: str, runs: Path) -> list[str]:
    """What a sweep's file chose for a recipe, as "key=value" texts; empty where there is no file or no word of it."""
    try:
        content = _plain(find(file, runs))
    except MissingError:
        return []
    values = content.get("chosen", {})
    found = values.get(name, values.get(re.sub(r"-s\d+$", "", name), {}))
    return [f"{key}={json.dumps(value)}" for key, value in found.items()]
