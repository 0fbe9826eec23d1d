"""Recipes: everything a training is made of, in one TOML file.

A recipe names its task, seed, number of steps, batch and optimiser; the other keys and tables are the task's own
options. Both are checked whole when read. The digest of a recipe is that of its values, not of the file: a value given
by `--set` and later written into the file gives the same digest.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from bench.core.errors import MissingError, UsageError, unknown_name
from bench.core.folder_names import check_name
from bench.core.schema import differing, from_table, read_toml
from methods.training.bounds import Count, CountOrNone, Decay, Factor, Seed, Share, Weight
from methods.training.card_names import refuse

RECIPES = Path(__file__).parent / "recipes"
TASKS = Path(__file__).parent / "tasks"
# What a recipe says about its place among others, not about the training itself.
_PLACE = ("name", "output", "also", "needs", "chosen_by", "seeds", "keep", "intermediate", "options", "digest")

# What a training keeps in its folder beside what it makes.
_TRAININGS_OWN = (
    "log.jsonl",
    "output.log",
    "lock",
    "samples",
    "tensorboard",
    *(f"checkpoint-{which}.{ending}" for which in (0, 1) for ending in ("pt", "json")),
)


@runtime_checkable
class NamesFiles(Protocol):
    """A task's `Options` of which some name files of other recipes, or nothing ("")."""

    @property
    def files(self) -> tuple[str, ...]:
        """These files."""
        ...


@dataclass(frozen=True)
class Recipe:
    """One training.

    Attributes:
        name: Also the folder of its runs, below that of all runs ("world/warpres").
        task: Which kind of training (a module of `methods.training.tasks`).
        seed: Of initialisation and of every batch (step k draws from (seed, k), so a resumed run sees the same
            batches).
        steps: Optimiser steps in all.
        batch: Images a step, of all processes together.
        rate: The optimiser's learning rate.
        output: File name of the result, in the world's weights folder when it is shipped.
        betas: Adam's betas.
        halve_at: When the rate is halved: after this share of the steps, or, from 1 on, after so many steps (the
            paper's 5k, 10k and 15k).
        warm_up: Steps over which the rate rises from 0.
        fall: Final share of the steps over which the rate falls to 2 %; 0 keeps it.
        average: Half-life, in images, of a moving average of the weights, which is checked and exported in the place of
            the last step's; 0 for none.
        bfloat16: Run the steps in bfloat16 autocast (weights, optimiser and flows stay float32), unless a CPU is faster
            in float32, or bfloat16 bends the task's gradients (`methods.training.arithmetic`); the held-out check is
            float32 always.
        tf32: Let CUDA multiply float32 with ten bits of mantissa.
        also: Further files that the training writes beside its output.
        needs: Files of other recipes (their `output`) that this one starts from; those that its options name among
            them (`NamesFiles`).
        chosen_by: A file of other recipes' whose choices ("chosen": recipe -> dotted key -> value) this one takes.
        seeds: Further seeds to train with; each has its own name and output ("styleres-s43.safetensors").
        keep: Never made again once it is there: what the world is measured with hangs on it.
        intermediate: Made only for those that need it.
        options: The task's own tables and values.
        digest: SHA-256 of the values that decide the result.
    """

    name: str
    task: str
    seed: Seed
    steps: Count
    batch: Count
    rate: Factor
    output: str
    betas: tuple[Decay, Decay] = (0.9, 0.99)
    halve_at: tuple[Weight, ...] = ()
    warm_up: CountOrNone = 0
    fall: Share = 0.0
    average: CountOrNone = 0
    bfloat16: bool = False
    tf32: bool = True
    also: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    chosen_by: str = ""
    seeds: tuple[Seed, ...] = ()
    keep: bool = False
    intermediate: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""

    def rate_at(self, step: int, since: int = 0) -> float:
        """Learning rate of a step; the warm-up is that of optimisers which began at step `since`."""
        share = step / self.steps
        rate = self.rate * 0.5 ** sum(step >= at if at >= 1 else share >= at for at in self.halve_at)
        if self.warm_up:
            rate *= min(1.0, (step + 1 - since) / self.warm_up)
        if self.fall:
            rate *= min(1.0, (1 - share) / self.fall + 0.02)
        return rate

    def with_seed(self, seed: int) -> Recipe:
        """The same training with another seed, under its own name and with files of its own."""
        output, *also = (f"{Path(file).stem}-s{seed}{Path(file).suffix}" for file in (self.output, *self.also))
        return _with_digest(
            replace(self, name=f"{self.name}-s{seed}", seed=seed, seeds=(), output=output, also=tuple(also))
        )

    def scaled(self, budget: float) -> Recipe:
        """The same training with `budget` times the steps (at least one)."""
        factor = max(1, round(self.steps * budget)) / self.steps
        if factor == 1:
            return self
        return _with_digest(
            replace(self, steps=round(self.steps * factor), warm_up=math.ceil(self.warm_up * min(1.0, factor)))
        )


def shipped_recipes() -> dict[str, Path]:
    """All shipped recipes' files by name ("world/warpres")."""
    return {path.relative_to(RECIPES).with_suffix("").as_posix(): path for path in sorted(RECIPES.rglob("*.toml"))}


def load_recipe(name: str | Path, changes: Sequence[str] = ()) -> Recipe:
    """A recipe by shipped name ("world/warpres", also "world/styleres-s43" for one of its further seeds) or by path.

    Args:
        changes: "key=value" texts; keys of tables are dotted ("weights.l2=0.5"), values are TOML.

    Raises:
        UsageError, MissingError: Say what to mend.
    """
    path, seed = _find(str(name))
    if not path.is_file():
        raise MissingError(f"no recipe file {path}", f"shipped recipes: {RECIPES}")
    data = read_toml(path)
    for change in changes:
        if seed is not None and change.partition("=")[0].strip() == "seed":
            raise UsageError(f"--set {change}: the seed of {name} is in its name", f"--set is for {path.stem} itself")
        _apply(data, change)
    if seed is not None:
        data["seed"] = seed  # held against its bounds with the others
    recipe = recipe_of(data, str(path))
    return recipe if seed is None else recipe.with_seed(seed)


def recipe_of(data: Mapping[str, Any], where: str) -> Recipe:
    """The recipe of a TOML file's content, its options checked by its task's `Options`."""
    own = _own_keys()
    plain = {key: value for key, value in data.items() if key in own}
    options = {key: value for key, value in data.items() if key not in own}
    if "program" in data:
        raise UsageError(f"{where} is no training", f"python -m {data['program']}, or let the whole chain run it")
    if absent := sorted({"name", "task", "seed", "steps", "batch", "rate", "output"} - set(plain)):
        raise UsageError(f"{where} lacks {', '.join(absent)}")
    recipe = from_table(Recipe, plain, where)
    _check_names(recipe, where)
    recipe = replace(recipe, options=options)
    checked = _checked_options(recipe, where)
    named = checked.files if isinstance(checked, NamesFiles) else ()
    needs = dict.fromkeys((*recipe.needs, *(file for file in named if file)))
    return _with_digest(replace(recipe, needs=tuple(needs)))


def _check_names(recipe: Recipe, where: str) -> None:
    """Raise UsageError for a name that would lead out of the folder of all runs, or be another file's in its own."""
    for part in recipe.name.split("/"):
        check_name(part, f"{where}: name")
    for file in (recipe.output, *recipe.also):
        check_name(file, f"{where}: the file", _TRAININGS_OWN)
    if twice := sorted({seed for seed in recipe.seeds if recipe.seeds.count(seed) > 1}):
        raise UsageError(f"{where}: seeds has {twice[0]} twice")


def _own_keys() -> list[str]:
    return [item.name for item in fields(Recipe) if item.name not in ("options", "digest")]


def _checked_options(recipe: Recipe, where: str) -> object:
    """The task's `Options` of a recipe."""
    known = sorted(path.stem for path in TASKS.glob("*.py") if path.stem != "__init__")
    if recipe.task not in known:
        raise unknown_name("task", recipe.task, known)
    task = import_module(f"methods.training.tasks.{recipe.task}")
    refuse(recipe.options, [item.name for item in fields(task.Options)], where)
    return from_table(task.Options, recipe.options, where, _own_keys())


def _with_digest(recipe: Recipe) -> Recipe:
    values = {key: value for key, value in differing(recipe).items() if key not in _PLACE}
    checked = _checked_options(recipe, recipe.name) if (TASKS / f"{recipe.task}.py").is_file() else None
    values["options"] = dict(recipe.options) if checked is None else differing(checked)
    return replace(recipe, digest=hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest())


def _find(name: str) -> tuple[Path, int | None]:
    """A recipe's file, and the further seed that the name asks for."""
    if name.endswith(".toml"):
        return Path(name), None
    shipped = shipped_recipes()
    further = re.fullmatch(r"(.+)-s([0-9]{1,12})", name)
    if name not in shipped and further and further[1] in shipped:
        return shipped[further[1]], int(further[2])
    if name not in shipped:
        raise unknown_name("recipe", name, list(shipped))
    return shipped[name], None


def _apply(data: dict[str, Any], change: str) -> None:
    """Set one value of a recipe's content, in place."""
    key, equals, text = change.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"--set {change!r} is not of the form key=value", "for example --set weights.regulariser=0.5")
    *tables, last = key.strip().split(".")
    place = data
    for table in tables:
        place = place.setdefault(table, {})
        if not isinstance(place, dict):
            raise UsageError(f"--set {change}: {table} is no table")
    before, value = place.get(last), _toml_value(text.strip())
    place[last] = value
    needs = data.get("needs")
    if isinstance(needs, list) and isinstance(value, str) and before in needs:  # another file takes its place
        data["needs"] = list(dict.fromkeys(name for name in (value if n == before else n for n in needs) if name))


def _toml_value(text: str) -> object:
    """A TOML value; a bare word is a text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
