"""Edit directions of the world's generator, found by linear models on samples that the regressor has measured.

    python -m bench.world.directions [FOLDER]

A direction is what changes in w, on average, with an attribute: the covariance of w and the measured value. The three
are then unmixed, so that the linear prediction of the other two attributes stays where it is (InterFaceGAN's
conditioning), and scaled so that the cards' strength of 3 is a clear edit (`AT_STRENGTH_3`). Latents are sampled;
what z means is never used.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor

from bench.core.checkpoint import write_safetensors
from bench.world.generator import load_shipped_generator
from bench.world.networks import ATTRIBUTES, WEIGHTS, WorldNetworks, load_world_networks
from methods.nets.stylegan2 import Generator

AT_STRENGTH_3 = {"smile": 0.8, "yaw": 18.0, "age": 0.45}  # wanted change of each attribute, in its own unit
SAMPLES, HELD_OUT = 6000, 600


@torch.inference_mode()
def measure(generator: Generator, networks: WorldNetworks, w: Tensor, batch: int = 50) -> Tensor:
    """Measured attributes (N, 3), in the order of ATTRIBUTES, of the images of w (N, D)."""
    found = []
    for part in w.split(batch):
        values = networks.attributes(generator(generator.broadcast(part)).clamp(-1, 1))
        found.append(torch.stack([values[name] for name in ATTRIBUTES], 1))
    return torch.cat(found)


def fit_directions(w: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Directions (3, D), one unit of each attribute by the linear model, and the model's R² (3,) on its samples.

    Args:
        w: float32 (N, D), values: (N, 3).
    """
    centred, targets = (w - w.mean(0)).double(), (values - values.mean(0)).double()
    ridge = 1e-3 * torch.eye(w.shape[1], dtype=torch.float64)
    model = torch.linalg.solve(centred.T @ centred / len(w) + ridge, centred.T @ targets / len(w))  # (D, 3)
    moving = centred.T @ targets / len(w)  # (D, 3): how w moves with each attribute
    unmixed = moving @ torch.linalg.inv(model.T @ moving)  # model.T @ unmixed = identity
    r2 = 1 - (targets - centred @ model).square().mean(0) / targets.square().mean(0)
    return unmixed.T.float(), r2.float()


def report(
    generator: Generator, networks: WorldNetworks, directions: Tensor, seed: int = 8
) -> dict[str, dict[str, float]]:
    """Mean measured change of every attribute at strength 3 of every direction, on unseen samples."""
    w = sample_codes(generator, HELD_OUT, seed)
    before = measure(generator, networks, w)
    facts: dict[str, dict[str, float]] = {}
    for name, direction in zip(ATTRIBUTES, directions, strict=True):
        change = {sign: (measure(generator, networks, w + sign * 3 * direction) - before).mean(0) for sign in (1, -1)}
        both = (change[1] - change[-1]) / 2
        facts[name] = {other: round(float(both[i]), 4) for i, other in enumerate(ATTRIBUTES)}
    return facts


def make(folder: Path) -> dict[str, dict[str, float]]:
    """Fit, scale, measure and write `directions.safetensors`; returns the measured changes at strength 3."""
    generator = load_shipped_generator(folder)
    networks = load_world_networks(folder)
    w = sample_codes(generator, SAMPLES, seed=7)
    directions, r2 = fit_directions(w, measure(generator, networks, w))
    for i, name in enumerate(ATTRIBUTES):
        directions[i] *= AT_STRENGTH_3[name] / 3
    changes = report(generator, networks, directions)
    metadata = {
        "r2": {name: round(float(r2[i]), 4) for i, name in enumerate(ATTRIBUTES)},
        "change_at_strength_3": changes,
        "change_per_unit": {name: changes[name][name] / 3 for name in ATTRIBUTES},
        "samples": SAMPLES,
    }
    tensors = {name: directions[i] for i, name in enumerate(ATTRIBUTES)}
    write_safetensors(folder / "directions.safetensors", tensors, metadata)
    return changes


@torch.inference_mode()
def sample_codes(generator: Generator, count: int, seed: int) -> Tensor:
    """Seeded codes w (count, D) of the generator's own distribution."""
    random = torch.Generator().manual_seed(seed)
    return generator.mapping(torch.randn(count, generator.config.style_dim, generator=random)).clone()


if __name__ == "__main__":
    torch.set_num_threads(1)
    for attribute, facts in make(Path(sys.argv[1]) if len(sys.argv) > 1 else WEIGHTS).items():
        print(attribute, facts)
