"""Steps in bfloat16 have the gradients of float32 steps, at the weights that are shipped."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from shutil import copyfile

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.core.checkpoint import load_strict, read_checkpoint, state_dict_of, take
from bench.world.networks import WEIGHTS
from methods.training.recipe import load_recipe
from methods.training.task import Context, Task

# Recipe -> what makes its step small and whole, the shipped files of what it trains.
CASES = {
    "world/critics": (("batch=8",), ("critics",)),
    "world/fit": (("batch=8", "half_size_share=0.0"), ("generator",)),
    "world/generator": (("batch=8", "discriminator_head_start=0"), ("generator", "discriminator")),
    "world/e4e": (("batch=16", "warm_up_share=0.0"), ("e4e",)),
    "world/restyle": (("batch=8",), ("restyle",)),
    "world/styletransformer": (("batch=16",), ("styletransformer",)),
    "world/featurestyle": (("batch=8",), ("featurestyle",)),
}
# A file's prefix of a module, where it is another than the module's name.
PREFIXES = {"generator": "decoder.", "average": "decoder."}
LEAST = 0.995


def _gradients(recipe: str, runs: Path, *, half: bool) -> dict[str, Tensor]:
    changes, files = CASES[recipe]
    loaded = load_recipe(recipe, [*changes, f"bfloat16={str(half).lower()}"])
    torch.manual_seed(loaded.seed)
    task: Task = import_module(f"methods.training.tasks.{loaded.task}").build(loaded, Context(runs))
    shipped = [state_dict_of(read_checkpoint(WEIGHTS / f"{file}.safetensors")) for file in files]
    for name, module in task.modules.items():
        for tensors in shipped:
            if part := take(tensors, PREFIXES.get(name, f"{name}.")):
                load_strict(module, part, name)
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        task.step(1, torch.Generator().manual_seed(5))
    return {
        name: torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None])
        for name, module in task.modules.items()
        if any(p.grad is not None for p in module.parameters())
    }


@pytest.mark.parametrize("recipe", CASES)
def test_gradients_in_bfloat16_point_where_those_in_float32_do(recipe: str, tmp_path: Path) -> None:
    # The adversarial stage goes on from a fitted generator, which is not shipped: any will do here.
    (tmp_path / "fit").mkdir()
    copyfile(WEIGHTS / "generator.safetensors", tmp_path / "fit" / "generator-fit.safetensors")
    exact, rounded = (_gradients(recipe, tmp_path, half=half) for half in (False, True))
    assert exact.keys() == rounded.keys()
    for name, gradient in exact.items():
        assert gradient.abs().max() > 0
        cosine = float(F.cosine_similarity(gradient.double(), rounded[name].double(), dim=0))
        assert cosine >= LEAST, f"{recipe}: {name} has a cosine of {cosine:.4f}"
