"""Time a full-size training step on filled weights: seconds a step and peak memory.

    python -m tests.benchmarks.full_size_training faces/warpres --device cuda --set batch=8 --steps 6

Files are made in a temporary folder where the weights registry looks for them, images are drawn; then the recipe runs
as `python -m methods.training` would run it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from bench.core.schema import from_table
from bench.timing.clock import cpu_name, peak_memory, reset_peak_memory, synchroniser
from bench.weights import registry
from methods.training.full_size.networks import needed_files
from methods.training.full_size.options import Options
from methods.training.recipe import Recipe, load_recipe
from methods.training.task import Context
from methods.training.tasks.full_size import build
from tests import filling

MANIFESTS = {
    "e4e-faces": "e4e_ffhq",
    "psp-faces": "psp_ffhq",
    "styletransformer-faces": "style_transformer_ffhq",
    "e4e-cars": "e4e_cars",
    "styletransformer-cars": "style_transformer_cars",
    "stylegan2-ffhq": "stylegan2_1024",
    "nvidia-discriminator-256": "nvidia_discriminator_256",
    "vgg16-keras": "vgg16_keras",
    "arcface-irse50": "arcface_irse50",
    "warpc-glunet": "warpc_glunet",
    "warpc-semantic-glunet": "warpc_semantic_glunet",
}


def write_files(recipe: Recipe, home: Path, *, quick: bool = True) -> None:
    """All files that a recipe starts from, filled, where the registry finds them below `home`."""
    for name in needed_files(from_table(Options, recipe.options, recipe.name)).values():
        item = registry.entry(name)
        folder = home / "weights" / name
        folder.mkdir(parents=True, exist_ok=True)
        if name == "moco-v2-resnet50":
            torch.save(moco(), folder / item.file)
            continue
        for path in filling.write(MANIFESTS[name], folder, quick=quick):
            path.rename(folder / item.file)


def moco() -> dict[str, Any]:
    """A ResNet-50, as initialised, the way MoCo's file holds one."""
    from torchvision.models import resnet50

    torch.manual_seed(0)
    tensors = resnet50(num_classes=128).state_dict()
    return {"epoch": 800, "state_dict": {f"module.encoder_q.{name}": value for name, value in tensors.items()}}


def draw_images(folder: Path, count: int = 16, size: int = 256) -> Path:
    """Smooth random images as PNG files."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, image in enumerate(filling.golden_image(0, count, size)):
        pixels = ((image + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
        Image.fromarray(np.ascontiguousarray(pixels)).save(folder / f"{index:05}.png")
    return folder


def measured(recipe: Recipe, context: Context, steps: int) -> dict[str, Any]:
    """Seconds of each step, peak memory, and each loss where it first and last occurred."""
    task, device = build(recipe, context), str(context.device)
    wait = synchroniser(device)
    reset_peak_memory(device)
    seconds, losses, first = [], dict[str, float](), dict[str, float]()
    for step in range(steps):
        wait()
        began = time.perf_counter()
        found = task.step(step, torch.Generator().manual_seed(step))
        wait()
        seconds.append(time.perf_counter() - began)
        losses |= {name: float(value) for name, value in found.items()}
        first = losses | first
        print(f"step {step}: {seconds[-1]:.3f} s", file=sys.stderr, flush=True)
    middle = float(np.median(seconds[len(seconds) // 2 :]))
    return {
        "seconds_a_step": middle,
        "images_per_second": recipe.batch / middle,
        "peak_memory_gb": (peak_memory(device) or 0) / 1e9,
        "all_seconds": seconds,
        "first_losses": first,
        "losses": losses,
    }


def main(argv: list[str] | None = None) -> int:
    """Prints one JSON line a setting of TF32; exit code 1 where a loss is no number."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.full_size_training", description=__doc__)
    parser.add_argument("recipe", nargs="?", default="faces/warpres")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--images", type=int, default=16, help="how many are drawn; 2 to see it overfit")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change the recipe")
    parser.add_argument("--tf32", choices=("off", "on", "both"), default="off", help="on CUDA")
    parser.add_argument("--into", type=Path, help="also append the lines to this file")
    args = parser.parse_args(argv)
    recipe = load_recipe(args.recipe, ["adapter_warm_up=0", "held_out=0", *args.set])
    finite = True
    with tempfile.TemporaryDirectory() as folder:
        os.environ["WARPRES_BENCH_HOME"] = folder
        began = time.monotonic()
        write_files(recipe, Path(folder))
        context = Context(
            Path(folder), torch.device(args.device), data=draw_images(Path(folder) / "images", args.images)
        )
        print(f"files made in {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)
        for tf32 in {"off": (False,), "on": (True,), "both": (False, True)}[args.tf32]:
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
            record = {**_about(recipe, args.device, tf32), **measured(recipe, context, args.steps)}
            finite &= all(np.isfinite(value) for value in record["losses"].values())
            line = json.dumps(record)
            print(line, flush=True)
            if args.into:
                args.into.parent.mkdir(parents=True, exist_ok=True)
                with args.into.open("a") as file:
                    file.write(line + "\n")
    return int(not finite)


def _about(recipe: Recipe, device: str, tf32: bool) -> Mapping[str, Any]:
    cuda = device.startswith("cuda")
    hardware = torch.cuda.get_device_name() if cuda else cpu_name()
    return {
        "recipe": recipe.name,
        "batch": recipe.batch,
        "hardware": hardware,
        "torch": str(torch.__version__),
        "tf32": tf32 and cuda,
    }


if __name__ == "__main__":
    sys.exit(main())
