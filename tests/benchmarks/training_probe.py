"""CPU seconds of training steps in a process of its own: `python training_probe.py CHECKOUT RECIPE BATCH STEPS`.

Runs in any checkout, today's or an earlier one (`git worktree`), so that two can be compared: it uses only what both
have. One JSON line: images a second of CPU, from the mean step.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

WARM_UP = 3  # steps until memory has been laid out; all that joins every few steps joins in the first one


def _old(recipe: str, batch: int, changes: list[str]) -> Any:
    """A step of the first trainer's: recipes were files, a task took the folder of runs."""
    from dataclasses import replace
    from importlib import import_module

    import torch

    from methods.training.loop import Sync  # type: ignore[attr-defined]
    from methods.training.recipe import load_recipe

    loaded = replace(load_recipe(recipe.replace("/", "-")), batch=batch)
    options = {key: value for key, value in loaded.options.items() if key != "start"}
    options.pop("flow_warm_up_steps", None)
    for change in changes:  # of today's changes those that the first recipes knew
        key, _, value = change.partition("=")
        if key in ("warm_up_share", "half_size_share"):
            options[key] = float(value)
    task = import_module(f"methods.training.tasks.{loaded.task}").build(
        replace(loaded, options=options), Path(tempfile.mkdtemp())
    )
    sync = Sync()

    def step(number: int, random: torch.Generator) -> Any:
        with torch.autocast("cpu", torch.bfloat16, enabled=loaded.bfloat16):
            return task.step(number, random, sync)

    return task, step


def _new(recipe: str, batch: int, changes: list[str]) -> Any:
    from importlib import import_module

    import torch

    from methods.nets.memory import keep_pages
    from methods.training.recipe import load_recipe
    from methods.training.task import Context

    keep_pages()  # as a training does
    loaded = load_recipe(recipe, [f"batch={batch}", *changes])
    task = import_module(f"methods.training.tasks.{loaded.task}").build(loaded, Context(Path(tempfile.mkdtemp())))

    def step(number: int, random: torch.Generator) -> Any:
        with torch.autocast("cpu", torch.bfloat16, enabled=loaded.bfloat16):
            return task.step(number, random)

    return task, step


def main(checkout: str, recipe: str, batch: int, steps: int, *changes: str) -> None:
    sys.path.insert(0, checkout)
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    old = not (Path(checkout) / "methods/training/task.py").is_file()
    task, step = (_old if old else _new)(recipe, batch, list(changes))
    for optimiser in task.optimisers.values():
        for group in optimiser.param_groups:
            group["lr"] = 1e-5
    began = 0.0
    for number in range(WARM_UP + steps):
        if number == WARM_UP:
            began = time.process_time()
        # Batches of the warm-up again: a training draws each of its people many times, and renders them once.
        step(number, torch.Generator().manual_seed(number % WARM_UP))
    print(json.dumps({"images_per_cpu_s": steps * batch / (time.process_time() - began)}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), *sys.argv[5:])
