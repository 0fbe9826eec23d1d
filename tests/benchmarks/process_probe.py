"""Images a second of training steps: of wall time, and of the CPU time of the process that needs most of it.

    python -m tests.benchmarks.process_probe RECIPE STEPS CORE,CORE [KEY=VALUE ...]

One process of those that the environment counts (as torchrun does), each on the core of its rank. Steps, batch and
arithmetic are a training's own. The first process prints one JSON line.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

import torch

from methods.nets.memory import keep_pages
from methods.training.arithmetic import arithmetic_of, settled
from methods.training.processes import Processes
from methods.training.recipe import load_recipe
from methods.training.task import Context

WARM_UP = 8  # steps, until everything that joins every few steps has had its turn


def main(recipe: str, steps: int, cores: list[int], changes: list[str]) -> None:
    torch.set_num_threads(1)
    keep_pages()  # as a training does
    device = torch.device("cpu")
    processes = Processes.join(device)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {cores[processes.rank]})
    context = Context(Path(tempfile.mkdtemp()), device, processes)
    loaded = settled(load_recipe(recipe, changes), context)
    torch.manual_seed(loaded.seed)
    task = import_module(f"methods.training.tasks.{loaded.task}").build(loaded, context)
    processes.share_statistics(*task.modules.values())
    processes.broadcast(*task.modules.values())
    for number in range(WARM_UP + steps):
        if number == WARM_UP:
            processes.wait()
            began, used = time.perf_counter(), time.process_time()
        with torch.autocast("cpu", torch.bfloat16, enabled=loaded.bfloat16):
            task.step(number, torch.Generator().manual_seed(number))
        processes.any(False, device)  # as the loop asks whether to stop
    # What a neighbour on the machine does not lengthen: waiting for each other is left out.
    spent = processes.gather(torch.tensor([time.process_time() - used])).max().item()
    seconds, images = time.perf_counter() - began, steps * loaded.batch
    if processes.rank == 0:
        rates = {"images_per_wall_s": images / seconds, "images_per_cpu_s": images / spent}
        print(json.dumps({**rates, "arithmetic": arithmetic_of(loaded)}))
    processes.leave()


if __name__ == "__main__":
    there = [int(word) for word in sys.argv[3].split(",")]
    main(sys.argv[1], int(sys.argv[2]), there, sys.argv[4:])
