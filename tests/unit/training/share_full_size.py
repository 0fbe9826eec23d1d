"""One of the processes that share a small full-size training.

Writes all weights after three steps to FOLDER/COUNT.pt. The optimisers are plain, because Adam makes whole steps of
gradients that are nothing but rounding.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from methods.registry import load_method
from methods.training.processes import Processes
from methods.training.task import Context
from tests.unit.training.test_full_size import options, recipe, small_task


def share(base_file: Path, folder: Path) -> None:
    torch.set_num_threads(1)
    device = torch.device("cpu")
    processes = Processes.join(device)
    base: Any = load_method("e4e", checkpoint=base_file)
    context = Context(folder, device, processes, folder / "data")
    task = small_task(base, options(flow_norm="frozen"), recipe(batch=8), context)
    for name in ("model", "discriminator"):
        task.optimisers[name] = torch.optim.SGD(task.modules[name].parameters(), lr=1e-2)
    processes.share_statistics(*task.modules.values())
    for step in range(3):
        task.step(step, torch.Generator().manual_seed(step + 1))
    if processes.rank == 0:
        weights = {f"{n}.{key}": v for n, module in task.modules.items() for key, v in module.state_dict().items()}
        torch.save(weights, folder / f"{processes.count}.pt")
    processes.leave()
