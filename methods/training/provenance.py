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
from methods.training.recipe import Recipe, load_recipe
from methods.training.world import find


def inputs(needs: Iterable[str], runs: Path) -> dict[str, str]:
    """SHA-256 of the files that a training starts from, by name. Raises MissingError naming the one that is absent."""
    return {name: file_digest(find(name, runs)) for name in needs}


def key(recipe: Recipe, runs: Path) -> str:
    """SHA-256 of everything that decides a training's result: its recipe's values and the files it starts from.

    Raises MissingError where one of these is absent.
    """
    content = json.dumps([recipe.digest, inputs(recipe.needs, runs)], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def provenance(recipe: Recipe, legs: Sequence[Mapping[str, Any]], runs: Path) -> dict[str, Any]:
    """How a file of weights was made: all legs of its training, and what it started from."""
    return {
        "recipe": recipe.name,
        "recipe_digest": recipe.digest,
        "seed": recipe.seed,
        "steps": recipe.steps,
        "batch": recipe.batch,
        "pictures": recipe.steps * recipe.batch,
        "wall_time_s": round(sum(leg["seconds"] for leg in legs)),
        "torch": str(torch.__version__),
        "legs": [dict(leg) for leg in legs],
        "inputs": inputs(recipe.needs, runs),
        "input_recipes": {name: made_of(find(name, runs)).get("recipe_digest", "") for name in recipe.needs},
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
