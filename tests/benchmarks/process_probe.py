"""How many images a second several processes train that share every batch, beside what one does alone, in turns.

    torchrun --nproc-per-node 2 -m tests.benchmarks.process_probe RECIPE STEPS ROUNDS [KEY=VALUE ...]

Each process has the core of its rank. In every round the first one trains STEPS steps alone while the others wait, then
all train together, then each trains on its own with as many images as its part would be: what these cores give beside
each other, whatever a training does. The first process prints one JSON line: of each way the median images a second of
all rounds, by wall time and by the CPU time of the process that needs most of it.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

import torch

from bench.core.cores import cores
from methods.nets.memory import keep_pages
from methods.training.arithmetic import arithmetic_of, settled
from methods.training.processes import Processes
from methods.training.recipe import Recipe, load_recipe
from methods.training.task import Context, Task

WARM_UP = 8  # steps, until everything that joins every few steps has had its turn
CPU = torch.device("cpu")


class Training:
    """A task with its recipe, whose steps are counted."""

    def __init__(self, recipe: Recipe, processes: Processes) -> None:
        context = Context(Path(tempfile.mkdtemp()), CPU, processes)
        self.recipe, self.processes = settled(recipe, context), processes
        torch.manual_seed(recipe.seed)
        self.task: Task = import_module(f"methods.training.tasks.{recipe.task}").build(self.recipe, context)
        processes.share_statistics(*self.task.modules.values())
        processes.broadcast(*self.task.modules.values())

    def steps(self, count: int) -> None:
        """Train steps 0 to `count` - 1; their people were drawn before, from the second time on."""
        for number in range(count):
            with torch.autocast("cpu", torch.bfloat16, enabled=self.recipe.bfloat16):
                self.task.step(number, torch.Generator().manual_seed(number))
            self.processes.any(False, CPU)  # as the loop asks whether to stop


def main(recipe: str, steps: int, rounds: int, changes: list[str]) -> None:
    torch.set_num_threads(1)
    keep_pages()  # as a training does
    together = Processes.join(CPU)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {cores()[together.rank]})
    whole = load_recipe(recipe, changes)
    part = load_recipe(recipe, [*changes, f"batch={together.size_of_part(whole.batch)}"])
    # The training, who takes part, and how many of its images a step there are in all.
    ways = {
        "one process": (Training(whole, Processes()), together.rank == 0, whole.batch),
        "processes": (Training(whole, together), True, whole.batch),
        "trainings": (Training(part, Processes()), True, part.batch * together.count),
    }
    found: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    for number in range(1 + rounds):
        for name, (training, mine, images) in ways.items():
            together.wait()
            began, used = time.perf_counter(), time.process_time()
            if mine:
                training.steps(steps if number else max(steps, WARM_UP))
            # Of the process that needs most: waiting for each other is left out.
            spent = together.gather(torch.tensor([time.process_time() - used])).max().item()
            seconds = time.perf_counter() - began
            if number:
                found[name].append({"wall": steps * images / seconds, "cpu": steps * images / spent})
    if together.rank == 0:
        rates = {
            name: {clock: statistics.median(each[clock] for each in some) for clock in ("wall", "cpu")}
            for name, some in found.items()
        }
        print(json.dumps({**rates, "arithmetic": arithmetic_of(ways["processes"][0].recipe)}))
    together.leave()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
