"""Recipes: everything a training is made of, in one TOML file.

A recipe names its task, seed, number of steps, batch and optimiser; the tables below belong to the task. The SHA-256
of the file goes into every checkpoint made from it.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from bench.errors import MissingError, UsageError, unknown_name

RECIPES = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class Recipe:
    """One training.

    Attributes:
        name: Also the name of the run's folder.
        task: Which kind of training (a module of `methods.training.tasks`).
        seed: Of initialisation and of every batch (step k draws from (seed, k), so a resumed run sees the same
        batches).
        steps: Optimiser steps in all.
        batch: Pictures a step.
        rate: Adam's learning rate.
        betas: Adam's betas.
        halve_at: Shares of `steps` after which the rate is halved (the paper's 5k, 10k, 15k of 20k).
        warm_up: Steps over which the rate rises from 0.
        fall: Final share of the steps over which the rate falls to 2 %; 0 keeps it.
        bfloat16: Run the steps in bfloat16 autocast (weights, optimiser and flows stay float32); the held-out check is
        float32 always.
        output: File name of the result, in the world's weights folder when it is shipped.
        options: The task's own tables and values.
        digest: SHA-256 of the file.
    """

    name: str
    task: str
    seed: int
    steps: int
    batch: int
    rate: float
    output: str
    betas: tuple[float, float] = (0.9, 0.99)
    halve_at: tuple[float, ...] = ()
    warm_up: int = 0
    fall: float = 0.0
    bfloat16: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""

    def rate_at(self, step: int) -> float:
        """Learning rate of a step."""
        share = step / self.steps
        rate = self.rate * 0.5 ** sum(share >= at for at in self.halve_at)
        if self.warm_up:
            rate *= min(1.0, (step + 1) / self.warm_up)
        if self.fall:
            rate *= min(1.0, (1 - share) / self.fall + 0.02)
        return rate


def load_recipe(name: str | Path) -> Recipe:
    """A recipe by shipped name ("world-warpres") or by path. Raises UsageError or MissingError that says what to
    mend.
    """
    path = Path(name)
    if path.suffix != ".toml":
        shipped = {file.stem: file for file in RECIPES.glob("*.toml")}
        if str(name) not in shipped:
            raise unknown_name("recipe", str(name), list(shipped))
        path = shipped[str(name)]
    if not path.is_file():
        raise MissingError(f"no recipe file {path}", f"shipped recipes: {RECIPES}")
    content = path.read_bytes()
    try:
        data = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is no valid TOML: {error}") from error
    own = {item.name for item in fields(Recipe)} - {"options", "digest"}
    plain: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in data.items() if key in own
    }
    if absent := sorted({"name", "task", "seed", "steps", "batch", "rate", "output"} - set(plain)):
        raise UsageError(f"{path} lacks {', '.join(absent)}")
    options = {key: value for key, value in data.items() if key not in own}
    return Recipe(**plain, options=options, digest=hashlib.sha256(content).hexdigest())
