"""The training loop: resumable, every loss logged; what is trained is a `Task`.

Stop it at any moment (Ctrl-C, SIGTERM, a deadline): it saves first, and the same command carries on with the same
batches. Killed outright, it does the steps since the last checkpoint again. Under torchrun the processes share every
batch; rank 0 checks, logs, saves and exports.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.core.files import explain_write_errors
from methods.training.arithmetic import arithmetic_of
from methods.training.averaging import Average
from methods.training.beginning import begin
from methods.training.checkpoints import forget_checkpoints, forget_halves, load_checkpoint, save_checkpoint
from methods.training.guard import DivergedError, Losses, Stop, check_weights, locked
from methods.training.journal import Journal, tell
from methods.training.provenance import key, provenance
from methods.training.recipe import Recipe
from methods.training.task import Context, Task

SAVE_EVERY_SECONDS = 120.0
LOG_EVERY_STEPS = 50
LOG_EVERY_SECONDS = 20.0
CHECKS = 10  # held-out checks in a training, where they take no more than CHECK_SHARE of its time
CHECK_SHARE = 0.05


@dataclass(frozen=True)
class Ended:
    """How a call of `train` ended: at which step, whether that was the recipe's last, and who stopped it before."""

    step: int
    finished: bool
    signalled: bool = False


def train(
    task: Task,
    recipe: Recipe,
    folder: Path,
    context: Context | None = None,
    *,
    until: int | None = None,
    deadline: float | None = None,
    fresh: bool = False,
) -> Ended:
    """Train to the recipe's last step (or `until`, or for `deadline` seconds), carrying on from the folder's
    checkpoint, or from the context's shipped file; export after the last step.

    Args:
        folder: Holds the checkpoints, `log.jsonl`, TensorBoard's files, samples and, at the end, the recipe's output.
        fresh: Begin anew, whatever checkpoints there are.

    Raises:
        UsageError: Another process trains in this folder, its checkpoint is of other networks, or what was finished
            there was of another recipe.
        MissingError: The folder cannot be written, or the disk is full.
        DivergedError: A loss was no number or exploded; the last good checkpoint stays.
    """
    context = context or Context(folder.parent)
    with ExitStack() as stack:
        stack.enter_context(explain_write_errors(folder, "--out"))
        folder.mkdir(parents=True, exist_ok=True)
        if context.processes.rank == 0:
            stack.enter_context(locked(folder / "lock", f"another process is training in {folder}"))
            forget_halves(folder)
            if fresh:
                forget_checkpoints(folder)
        context.processes.wait()
        stop = stack.enter_context(Stop(deadline).listening())
        return _Run(task, recipe, folder, context, stop).run(until)


class _Run:
    """One call of `train`."""

    def __init__(self, task: Task, recipe: Recipe, folder: Path, context: Context, stop: Stop) -> None:
        self.task, self.recipe, self.folder, self.context, self.stop = task, recipe, folder, context, stop
        self.main = context.processes.rank == 0
        self.key = key(recipe, context)
        self.progress, average = begin(task, recipe, folder, context, self.key)
        context.processes.share_statistics(*task.modules.values())
        context.processes.broadcast(*task.modules.values())
        self.average = Average.of(task.modules, recipe.average, recipe.batch)
        self.average.load_state_dict(average)
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = recipe.tf32
        self.losses = Losses(self.progress.bound)
        self.first = self.progress.step
        self.began = time.monotonic()
        self.logged = self.saved = self.began
        self.logged_step = self.first
        self.checked_step, self.check_seconds = self.first, 0.0

    def run(self, until: int | None) -> Ended:
        last = self.recipe.steps if until is None else min(until, self.recipe.steps)
        journal = Journal(self.folder, self.recipe, self.first) if self.main else None
        processes = self.context.processes
        try:
            stopped = processes.any(self.stop.wanted, self.context.device)
            while self.progress.step < last and not stopped:
                self._step()
                stopped = processes.any(self.stop.wanted, self.context.device)
                self._after_step(journal, ending=stopped or self.progress.step == last)
            return self._end(journal, last)
        finally:
            if journal is not None:
                journal.close()

    def _step(self) -> None:
        step, recipe = self.progress.step, self.recipe
        for optimiser in self.task.optimisers.values():
            for group in optimiser.param_groups:
                group["lr"] = recipe.rate_at(step, self.progress.since) * group.get("rate_factor", 1.0)
        random = torch.Generator().manual_seed(recipe.seed * 1_000_003 + step * 64)
        with torch.autocast(self.context.device.type, torch.bfloat16, enabled=recipe.bfloat16):
            losses = self.task.step(step, random)
        self.average.update()
        self.progress.step = step + 1
        self.losses.add(step, losses)

    def _after_step(self, journal: Journal | None, *, ending: bool) -> None:
        """Log, save and check when it is time; all ranks look at their losses, so that all see a divergence."""
        step, now = self.progress.step, time.monotonic()
        if journal is not None:
            journal.tick()
        due = step % LOG_EVERY_STEPS == 0 or ending
        saving = ending or now - self.saved > SAVE_EVERY_SECONDS
        if self.context.processes.count == 1:
            due = due or saving or now - self.logged > LOG_EVERY_SECONDS
        if not due:
            return
        self._log(journal)
        # By one verdict: each process has its own clock, and to save they must all come.
        if self.context.processes.any(saving, self.context.device):
            self._save()
        if self._check_due(ending) and journal is not None:
            self._check(journal)

    def _log(self, journal: Journal | None) -> None:
        steps, now = self.progress.step - self.logged_step, time.monotonic()
        means = self._means()
        self.progress.bound = self.losses.bound
        if journal is not None and steps:
            speed = steps * self.recipe.batch / max(now - self.logged, 1e-9)
            spent = self.progress.seconds + now - self.began
            rate = self.recipe.rate_at(self.progress.step - 1, self.progress.since)
            journal.losses(self.progress.step, means, seconds=spent, speed=speed, rate=rate)
        self.logged, self.logged_step = now, self.progress.step

    def _means(self) -> dict[str, float]:
        """Means of the losses over the steps since the last call and over all processes; all stop if one diverged."""
        processes, device = self.context.processes, self.context.device
        means: dict[str, float] = {}
        broken: DivergedError | None = None
        try:
            means = self.losses.take()
        except DivergedError as error:
            broken = error
        self._stop_if(broken)
        return processes.mean(means, device)

    def _stop_if(self, broken: DivergedError | None) -> None:
        """End the training in all processes where it diverged in one of them."""
        if self.context.processes.any(broken is not None, self.context.device):
            found = broken or DivergedError(f"by step {self.progress.step} another process had diverged")
            raise self._stopped_by(found) from None

    def _stopped_by(self, error: DivergedError) -> DivergedError:
        good = load_checkpoint(self.folder)
        kept = f"the checkpoint of step {good['step']} is kept" if good else "there is no checkpoint yet"
        return DivergedError(
            f"{self.recipe.name}: {error.what}; {kept}",
            "lower the rate or a weight (--set rate=...) and run it again; it goes on from there",
        )

    def _save(self) -> None:
        broken: DivergedError | None = None
        try:
            check_weights(self.task.modules, self.progress.step)
        except DivergedError as error:
            broken = error
        self._stop_if(broken)
        if self.main:
            save_checkpoint(self.folder, self._state())
        self.saved = time.monotonic()

    def _state(self) -> dict[str, Any]:
        return {
            "modules": {name: module.state_dict() for name, module in self.task.modules.items()},
            "optimisers": {name: optimiser.state_dict() for name, optimiser in self.task.optimisers.items()},
            "average": self.average.state_dict(),
            "step": self.progress.step,
            "bound": self.progress.bound,
            "since": self.progress.since,
            "key": self.key,
            "given": dict(self.task.given),
            "arithmetic": arithmetic_of(self.recipe),
            "legs": self._legs(),
        }

    def _legs(self) -> list[dict[str, Any]]:
        """The legs so far, with this one."""
        if self.progress.step == self.first:
            return self.progress.legs
        leg = {
            "from": self.first,
            "to": self.progress.step,
            "batch": self.recipe.batch,
            "seconds": round(time.monotonic() - self.began, 1),
            "device": _device_name(self.context.device),
            "arithmetic": arithmetic_of(self.recipe),
            "processes": self.context.processes.count,
            "recipe_digest": self.recipe.digest,
            "torch": str(torch.__version__),
        }
        return [*self.progress.legs, leg]

    def _check_due(self, ending: bool) -> bool:
        step, every = self.progress.step, max(1, self.recipe.steps // CHECKS)
        if ending:
            return step > self.checked_step
        spent = time.monotonic() - self.began
        return step - self.checked_step >= every and self.check_seconds <= CHECK_SHARE * spent

    def _check(self, journal: Journal) -> None:
        began = time.monotonic()
        with self.average.used():
            figures = self.task.check()
            journal.check(self.progress.step, figures, self._samples())
        self.checked_step = self.progress.step
        took = time.monotonic() - began
        self.check_seconds += took
        self.logged += took  # a check is no part of the speed

    def _samples(self) -> Mapping[str, Tensor]:
        """Sample grids; for something to look at, no training ends."""
        try:
            return self.task.samples()
        except RuntimeError as error:
            tell(f"note: no sample grids of {self.recipe.name} ({error})")
            return {}

    def _end(self, journal: Journal | None, last: int) -> Ended:
        step, recipe = self.progress.step, self.recipe
        finished = step == recipe.steps
        if finished and self.main:
            path = self.folder / recipe.output
            with self.average.used():
                self.task.export(path, provenance(recipe, self._legs(), self.context, self.task.given))
            tell(f"{recipe.name}: {path}")
        elif self.main:
            why = "out of time" if step < last and not self.stop.signalled else "stopped"
            tell(f"{recipe.name}: {why} at step {step} of {recipe.steps}; the same command carries on")
        self.context.processes.wait()
        return Ended(step, finished, self.stop.signalled)


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
