"""How far an edit asks an attribute to change: the mean change that the generator itself shows.

    python -m bench.world.asked [FOLDER]

A strength means another change for every starting point: a direction that opens a closed mouth by 0.85 does almost
nothing to a broad smile, and a head that looks far aside hardly turns any further. So what a strength asks of a
person is the mean measured change of the generator's own samples *that start where this person does*, at this
strength. No encoder and no method has a part in it: all methods, whatever their codes, are held against the same
asked change.

`asked.safetensors` holds that curve for each direction: attribute -> float32 (strengths, knots), the change at a
strength and a starting value; between strengths and knots it is linear, beyond the outermost it is theirs.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bench.core.checkpoint import file_digest, read_checkpoint, state_dict_of, write_safetensors
from bench.core.metadata import read_metadata
from bench.world.directions import measure, sample_codes
from bench.world.generator import load_shipped_generator
from bench.world.networks import ATTRIBUTES, WEIGHTS, load_world_networks

FILE = "asked.safetensors"
STRENGTHS = (-6.0, -4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 6.0)
KNOTS = {"smile": (-0.4, 1.0), "yaw": (-35.0, 35.0), "age": (0.0, 1.0)}
COUNT = 9
SAMPLES = 700
# Weight of the curve's second differences against the samples, so that sparse ends do not swing.
SMOOTH = 0.02


@dataclass(frozen=True)
class AskedChange:
    """The curves of one file of directions.

    Attributes:
        curves: Attribute -> float64 (strengths, knots), change in the attribute's unit.
        strengths, knots: Where they were measured; knots by attribute.
        directions: SHA-256 of the directions' file that they were measured with.
    """

    curves: Mapping[str, np.ndarray]
    strengths: tuple[float, ...]
    knots: Mapping[str, np.ndarray]
    directions: str

    def __call__(self, attribute: str, start: float, strength: float) -> float:
        """Change asked of a person whose `attribute` is `start`, in the attribute's unit (yaw: degrees)."""
        at_start = [np.interp(start, self.knots[attribute], row) for row in self.curves[attribute]]
        return float(np.interp(strength, self.strengths, at_start))

    def strength_of(self, attribute: str, starts: np.ndarray, change: float) -> float:
        """The strength that asks people starting at `starts` (N,) for `change` on average; 0.01 exact.

        Where no strength asks for as much, the outermost one.
        """
        side = np.linspace(0, self.strengths[-1] if change > 0 else self.strengths[0], 601)
        means = [float(np.mean([self(attribute, start, strength) for start in starts])) for strength in side[::10]]
        fine = np.interp(np.arange(len(side)), np.arange(0, len(side), 10), means)
        return float(side[int(np.abs(fine - change).argmin())])


@lru_cache(maxsize=2)
def load_asked(folder: Path = WEIGHTS) -> AskedChange:
    """The shipped curves. Raises MissingError where the file is missing or damaged."""
    curves, about = state_dict_of(read_checkpoint(folder / FILE)), read_metadata(folder / FILE)
    return AskedChange(
        {name: curve.double().numpy() for name, curve in curves.items()},
        tuple(about["strengths"]),
        {name: np.linspace(*KNOTS[name], COUNT) for name in ATTRIBUTES},
        about["directions"],
    )


def fit_curve(start: Tensor, change: Tensor, knots: np.ndarray) -> Tensor:
    """Mean change (K,) at the knots: a piecewise linear least-squares fit with a small weight on second differences.

    Args:
        start, change: float (N,), measured before an edit and by it.
    """
    x = np.clip(start.double().numpy(), knots[0], knots[-1])
    hats = np.stack([np.interp(x, knots, row) for row in np.eye(len(knots))], 1)
    bends = np.diff(np.eye(len(knots)), 2, axis=0)
    normal = hats.T @ hats / len(x) + SMOOTH * bends.T @ bends
    return torch.from_numpy(np.linalg.solve(normal, hats.T @ change.double().numpy() / len(x)))


@torch.inference_mode()
def make(folder: Path) -> dict[str, list[float]]:
    """Measure the generator's samples at every strength and write the curves; returns those of strength 3."""
    generator, networks = load_shipped_generator(folder), load_world_networks(folder)
    directions = state_dict_of(read_checkpoint(folder / "directions.safetensors"))
    codes = sample_codes(generator, SAMPLES, seed=9)
    before = measure(generator, networks, codes)
    curves = {}
    for at, name in enumerate(ATTRIBUTES):
        rows = []
        for strength in STRENGTHS:
            change = measure(generator, networks, codes + strength * directions[name])[:, at] - before[:, at]
            rows.append(fit_curve(before[:, at], change, np.linspace(*KNOTS[name], COUNT)))
        curves[name] = torch.stack(rows).float()
    about = {
        "strengths": list(STRENGTHS),
        "samples": SAMPLES,
        "directions": file_digest(folder / "directions.safetensors"),
    }
    write_safetensors(folder / FILE, curves, about)
    return {name: [round(value, 3) for value in curve[STRENGTHS.index(3.0)].tolist()] for name, curve in curves.items()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    for attribute, values in make(Path(sys.argv[1]) if len(sys.argv) > 1 else WEIGHTS).items():
        print(attribute, values)
