"""Where a training begins: where its folder's checkpoint stands, after a shipped network, or at step 0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.core.errors import UsageError
from methods.training.checkpoints import check_kind, load_checkpoint, restore
from methods.training.extension import extend, go_on_with_log
from methods.training.journal import tell
from methods.training.recipe import Recipe
from methods.training.task import Context, Task


@dataclass
class Progress:
    """Where a training stands.

    Attributes:
        step: Steps that are done.
        legs: What earlier calls did.
        bound: Largest total of the losses in the first steps; None while there was none.
        since: The step from which on its optimisers are the same.
    """

    step: int = 0
    legs: list[dict[str, Any]] = field(default_factory=list)
    bound: float | None = None
    since: int = 0

    @property
    def seconds(self) -> float:
        """Of all legs."""
        return sum(leg["seconds"] for leg in self.legs)


def begin(
    task: Task, recipe: Recipe, folder: Path, context: Context, key: str
) -> tuple[Progress, Mapping[str, Tensor]]:
    """Bring a task to where its training goes on; where that is, and the moving average there (empty: there is none).

    Args:
        key: What the training is of, see `provenance.key`.

    Raises:
        UsageError: The checkpoint is of other networks, is finished and of another key, or did not begin with the
            shipped network that is to be gone on from; or the processes see different checkpoints.
    """
    state = load_checkpoint(folder)
    if state is None:
        progress = Progress() if context.shipped is None else _after_shipped(task, recipe, folder, context)
        _check_together(progress.step, folder, context)
        return progress, {}
    _check_fit(state, task, recipe, folder, context, key)
    restore(task, state, folder)
    progress = Progress(int(state["step"]), list(state["legs"]), state["bound"], state.get("since", 0))
    _check_together(progress.step, folder, context)
    return progress, state.get("average", {})


def _after_shipped(task: Task, recipe: Recipe, folder: Path, context: Context) -> Progress:
    assert context.shipped is not None
    last, legs = extend(task, context.shipped, recipe.batch)
    if context.processes.rank == 0:
        go_on_with_log(context.shipped, recipe.batch, folder)
        tell(f"{recipe.name}: goes on from {context.shipped.name}, at step {last}")
    return Progress(last, legs, since=last)


def _check_fit(state: Mapping[str, Any], task: Task, recipe: Recipe, folder: Path, context: Context, key: str) -> None:
    """Refuse a checkpoint's state that cannot be gone on from; tell where it began otherwise than it goes on."""
    check_kind(state, task, folder)
    if context.shipped is not None and not state.get("since"):
        raise UsageError(
            f"the training in {folder} did not begin with the shipped network",
            "--extend --fresh begins anew from that; without --extend the training carries on",
        )
    if state["key"] != key and state["step"] >= recipe.steps:
        raise UsageError(
            f"the training in {folder} is finished, but was of other values or from other files than now",
            "--fresh trains anew",
        )
    if context.processes.rank:
        return
    if state["key"] != key:
        tell(f"note: {folder} was begun with other values or from other files; --fresh begins anew")
    given = task.given
    if others := sorted(name for name, digest in state.get("given", {}).items() if given.get(name, digest) != digest):
        tell(f"note: {folder} was begun with other {' and '.join(others)} than it goes on with")


def _check_together(step: int, folder: Path, context: Context) -> None:
    """Raise UsageError where the processes stand at different steps."""
    together = context.processes.total(torch.tensor(step, device=context.device))
    if int(together) != step * context.processes.count:
        raise UsageError(
            f"process {context.processes.rank} stands at step {step} by {folder}, others at another one",
            "--out must be a folder that all machines share",
        )
