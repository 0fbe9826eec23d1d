"""The world's model card: what was shipped, how it was made and how good it is, measured when this runs.

python -m methods.training.world_card [FOLDER]      prints the card; with a FOLDER also writes CARD.md and generator.png
there
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from torch import Tensor

from bench.world.generator import load_shipped_generator, sample_images
from bench.world.networks import WEIGHTS, WorldNetworks, load_world_networks
from bench.world.render import render, to_uint8
from bench.world.scene import sample_people
from methods.nets.stylegan2 import Generator
from metrics.frechet import frechet_distance

COUNT = 2000
GRID = (4, 12)


def metadata_of(path: Path) -> dict[str, Any]:
    """Metadata of one of our files, values parsed."""
    with safe_open(path, framework="pt") as file:
        return {key: json.loads(value) for key, value in (file.metadata() or {}).items()}


@torch.inference_mode()
def generator_distance(generator: Generator, networks: WorldNetworks) -> tuple[float, float]:
    """FD of generated images to held-out renders without details, and the floor: other renders to the same ones."""
    held_out, others = (_features(networks, render(sample_people(COUNT, seed, details=False))) for seed in (101, 102))
    made = _features(networks, sample_images(generator, COUNT))
    return frechet_distance(made, held_out), frechet_distance(others, held_out)


@torch.inference_mode()
def _features(networks: WorldNetworks, images: Tensor) -> np.ndarray:
    return torch.cat([networks.pooled(part) for part in images.split(50)]).double().numpy()


def lines(folder: Path = WEIGHTS) -> Iterator[str]:
    """The card, as Markdown."""
    generator, networks = load_shipped_generator(folder), load_world_networks(folder)
    distance, floor = generator_distance(generator, networks)
    yield "# The synthetic world's networks\n"
    yield "Made by `python -m methods.training.world_card`; measured on scenes that no network was trained on.\n"
    yield "## Files\n"
    yield "| file | MB | recipe | seed | steps | batch | minutes | held-out figures |"
    yield "|---|---|---|---|---|---|---|---|"
    for path in sorted(folder.glob("*.safetensors")):
        yield _file_line(path)
    yield "\n## Generator\n"
    yield f"FD of {COUNT} samples to {COUNT} held-out renders without details: **{distance:.2f}**;"
    yield f"of as many other renders to the same ones: {floor:.2f}. Samples: `generator.png`.\n"
    yield "## Directions\n"
    facts = metadata_of(folder / "directions.safetensors")
    yield "Mean change that the regressor measures at strength 3 (600 unseen samples); yaw in degrees. Wanted on the"
    yield "diagonal, a leak elsewhere.\n"
    yield "| direction | smile | yaw | age | R² of the linear model |"
    yield "|---|---|---|---|---|"
    for name, change in facts["change_at_strength_3"].items():
        changes = f"{change['smile']:.3f} | {change['yaw']:.2f} | {change['age']:.3f}"
        yield f"| {name} | {changes} | {facts['r2'][name]:.3f} |"


def _file_line(path: Path) -> str:
    facts = metadata_of(path)
    made, held_out = facts.get("made", {}), facts.get("held_out", {})
    figures = ", ".join(f"{name} {value}" for name, value in held_out.items())
    minutes = round(made["wall_time_s"] / 60, 1) if made else "-"
    columns = [str(made.get(key, "-")) for key in ("recipe", "seed", "steps", "batch")]
    return f"| {path.name} | {path.stat().st_size / 1e6:.1f} | {' | '.join(columns)} | {minutes} | {figures} |"


def grid(generator: Generator) -> Image.Image:
    """Samples of the generator, GRID rows by columns, doubled in size."""
    rows, columns = GRID
    images = to_uint8(sample_images(generator, rows * columns, seed=9))
    tiles = images.view(rows, columns, 64, 64, 3).permute(0, 2, 1, 3, 4).reshape(rows * 64, columns * 64, 3)
    return Image.fromarray(tiles.numpy()).resize((columns * 128, rows * 128), Image.Resampling.NEAREST)


if __name__ == "__main__":
    torch.set_num_threads(1)
    text = "\n".join(lines()) + "\n"
    print(text)
    if len(sys.argv) > 1:
        Path(sys.argv[1], "CARD.md").write_text(text)
        grid(load_shipped_generator()).save(Path(sys.argv[1], "generator.png"), optimize=True)
