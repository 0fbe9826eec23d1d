"""The training loop: resumable, atomic, every loss logged; what is trained is a `Task`.

Kill it at any moment: at most the steps since the last checkpoint are done again, with the same batches. Under
torchrun the processes share the batch and average their gradients.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, distributed, nn

from methods.training.recipe import Recipe

SAVE_EVERY_SECONDS = 120
LOG_EVERY_STEPS = 50


class Task(Protocol):
    """What is trained.

    Attributes:
        modules: Everything that changes, by name; saved and restored.
        optimisers: By name; their rate is set by the loop from the recipe.
    """

    modules: dict[str, nn.Module]
    optimisers: dict[str, torch.optim.Optimizer]

    def step(self, step: int, random: torch.Generator, sync: Sync) -> Mapping[str, Tensor]:
        """One step: draw a batch from `random`, step the optimisers, return the losses (weighted, detached)."""
        ...

    def check(self) -> Mapping[str, float]:
        """Held-out figures, logged at every checkpoint."""
        ...

    def export(self, path: Path, provenance: Mapping[str, Any]) -> None:
        """Write the result, with how it was made in its metadata."""
        ...


class Sync:
    """Averages gradients over processes; with one process it does nothing."""

    def __init__(self) -> None:
        self.rank, self.world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        if self.world > 1:
            distributed.init_process_group("gloo")

    def average(self, module: nn.Module) -> None:
        gradients = [p.grad for p in module.parameters() if p.grad is not None]
        if self.world == 1 or not gradients:
            return
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        flat /= self.world
        for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))


def train(task: Task, recipe: Recipe, folder: Path, *, until: int | None = None) -> None:
    """Train to the recipe's last step (or `until`), carrying on from the folder's checkpoint; then export.

    Args:
        folder: Holds `latest.pt` (checkpoint), `log.jsonl` (losses) and, at the end, the recipe's output.
    """
    sync = Sync()
    folder.mkdir(parents=True, exist_ok=True)
    latest = folder / "latest.pt"
    step, spent = _restore(task, latest, recipe) if latest.exists() else (0, 0.0)
    last = recipe.steps if until is None else min(until, recipe.steps)
    began = saved = time.monotonic()
    sums: dict[str, Tensor] = {}
    while step < last:
        for optimiser in task.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = recipe.rate_at(step) * group.get("rate_factor", 1.0)
        random = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step * 64 + sync.rank)
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bfloat16):
            losses = task.step(step, random, sync)
        step += 1
        for name, value in losses.items():
            sums[name] = sums.get(name, torch.zeros(())) + value.detach()
        now = time.monotonic()
        if sync.rank == 0 and step % LOG_EVERY_STEPS == 0:
            _log(folder, recipe, step, spent + now - began, sums)
            sums = {}
        if sync.rank == 0 and (now - saved > SAVE_EVERY_SECONDS or step == last):
            saved = now
            _save(task, latest, recipe, step, spent + now - began)
            _append(folder / "log.jsonl", {"step": step, "check": dict(task.check())})
    if sync.rank != 0:
        return
    if step < recipe.steps:
        _tell(f"{recipe.name}: stopped at step {step} of {recipe.steps}; the same command without --until carries on")
        return
    task.export(folder / recipe.output, provenance(recipe, step, spent + time.monotonic() - began))
    _tell(f"{recipe.name}: {folder / recipe.output}")


def provenance(recipe: Recipe, step: int, seconds: float) -> dict[str, Any]:
    """How a file of weights was made."""
    return {
        "recipe": recipe.name,
        "recipe_digest": recipe.digest,
        "seed": recipe.seed,
        "steps": step,
        "batch": recipe.batch,
        "wall_time_s": round(seconds),
        "torch": torch.__version__,
    }


def _log(folder: Path, recipe: Recipe, step: int, spent: float, sums: Mapping[str, Tensor]) -> None:
    means = {name: round(float(value) / LOG_EVERY_STEPS, 6) for name, value in sums.items()}
    _append(folder / "log.jsonl", {"step": step, "seconds": round(spent), "losses": means})
    left = spent / step * (recipe.steps - step)
    text = " ".join(f"{name} {value:.4g}" for name, value in means.items())
    _tell(f"{recipe.name} {step}/{recipe.steps} {left / 60:.0f} min left  {text}")


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _append(path: Path, record: Mapping[str, Any]) -> None:
    with path.open("a") as file:
        file.write(json.dumps(record) + "\n")


def _save(task: Task, path: Path, recipe: Recipe, step: int, spent: float) -> None:
    state = {
        "modules": {name: module.state_dict() for name, module in task.modules.items()},
        "optimisers": {name: optimiser.state_dict() for name, optimiser in task.optimisers.items()},
        "step": step,
        "spent": spent,
        "recipe_digest": recipe.digest,
    }
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


def _restore(task: Task, path: Path, recipe: Recipe) -> tuple[int, float]:
    state = torch.load(path, weights_only=True)
    if state["recipe_digest"] != recipe.digest:
        _tell(f"note: {path} was begun with another version of recipe {recipe.name}")
    for name, module in task.modules.items():
        module.load_state_dict(state["modules"][name])
    for name, optimiser in task.optimisers.items():
        optimiser.load_state_dict(state["optimisers"][name])
    return int(state["step"]), float(state["spent"])
