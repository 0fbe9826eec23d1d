"""The embedded world as training sees it: network sizes, batches of its people, and where trained parts are found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.core.checkpoint import load_strict, read_checkpoint, state_dict_of, take, write_safetensors
from bench.core.errors import MissingError
from bench.core.schema import read_toml
from bench.world.networks import WEIGHTS, load_critics
from bench.world.scene import Scene
from bench.world.splits import people
from methods.nets.configs import from_dict, to_dict
from methods.nets.irse import IRSEConfig
from methods.nets.pyramid import PyramidConfig
from methods.nets.stylegan2 import DiscriminatorConfig, Generator, GeneratorConfig
from methods.training.losses import Critics
from methods.training.recipe import shipped_recipes

CHANNELS = {4: 128, 8: 128, 16: 96, 32: 64, 64: 32}
GENERATOR = GeneratorConfig(size=64, style_dim=64, mapping_layers=2, channels=CHANNELS)
BASE_FILES = ("generator.safetensors", "e4e.safetensors")  # what StyleRes and WarpRes are built on
DISCRIMINATOR = DiscriminatorConfig(size=64, channels={4: 128, 8: 128, 16: 96, 32: 64, 64: 32})
BACKBONE = IRSEConfig(widths=(32, 48, 64, 96), units=(2, 2, 3, 2), reduction=8)
ENCODER = PyramidConfig(backbone=BACKBONE, rows=10, style_dim=64, coarse=3, middle=6, depths=(2, 3, 4))


def batch_of_people(split: str, count: int, random: torch.Generator) -> Scene:
    """`count` random scenes of a split, on the CPU."""
    everyone = people(split)
    return Scene(everyone.values[torch.randint(len(everyone), (count,), generator=random)])


def find(name: str, runs: Path) -> Path:
    """A trained part: the newest in the training runs, else the shipped one. Raises MissingError naming the recipe."""
    made = sorted([*runs.glob(f"*/{name}"), *runs.glob(f"world/*/{name}")], key=lambda path: path.stat().st_mtime)
    path = made[-1] if made else WEIGHTS / name
    if not path.is_file():
        raise MissingError(f"no trained {name}", f"python -m methods.training {maker_of(name)} --out {runs}")
    return path


def maker_of(name: str) -> str:
    """The world's recipe that makes a file; the whole chain's name where none does."""
    for recipe, path in shipped_recipes().items():
        if not recipe.startswith("world/"):
            continue  # others have outputs of the same names
        content = read_toml(path)
        if name in (content.get("output"), *content.get("also", ())):
            return recipe
    return "world"


def load_generator(runs: Path, device: torch.device | str = "cpu") -> tuple[Generator, Tensor]:
    """The world's generator, frozen, and its mean w (D,)."""
    content = read_checkpoint(find("generator.safetensors", runs))
    tensors = state_dict_of(content)
    generator = Generator(from_dict(GeneratorConfig, content["metadata"]["config"]["generator"]))
    load_strict(generator, take(tensors, "decoder."), "generator.safetensors")
    return generator.eval().requires_grad_(False).to(device), tensors["latent_avg"].float().to(device)


def load_loss_critics(runs: Path, device: torch.device | str = "cpu") -> Critics:
    """The frozen networks of the perceptual and identity losses."""
    describer, embedder = load_critics(find("critics.safetensors", runs))
    return Critics(describer.to(device), embedder.to(device))


def write_part(
    path: Path,
    part: str,
    config: object,
    tensors: Mapping[str, Tensor],
    made: Mapping[str, Any],
    held_out: Mapping[str, float],
    *,
    method: str = "",
    parts: Sequence[str] | None = None,
    config_beside: Mapping[str, Any] | None = None,
    base: str = "",
) -> None:
    """Write one trained part as methods load it: tensors by prefix, the part's configuration, and how it was made.

    Floating-point tensors are stored as float16, which halves the files; loaders widen them again.

    Args:
        method: What the loader takes the file for, with its parts beside it; else the part's own method.
        parts: The files beside it that the method is loaded from as well; else the part's usual ones.
        config_beside: Configurations of further parts that the file holds.
        base: The base encoder that a residual method was trained on.
    """
    beside = {"encoder": ["generator.safetensors"], "styleres": list(BASE_FILES), "warpres": list(BASE_FILES)}
    metadata = {
        "parts": beside.get(part, []) if parts is None else list(parts),
        # What the loader takes the file for: the encoder with its generator beside it is e4e.
        "method": method or ("e4e" if part == "encoder" else part),
        "domain": "faces",
        "config": {part: to_dict(config), **(config_beside or {})},
        "made": dict(made),
        "held_out": dict(held_out),
        **({"base": base} if base else {}),
    }
    halves = {name: value.half() if value.is_floating_point() else value for name, value in tensors.items()}
    write_safetensors(path, halves, metadata)


def prefixed(modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """The tensors of modules, each under its prefix ("encoder.")."""
    return {
        f"{prefix}{name}": value for prefix, module in modules.items() for name, value in module.state_dict().items()
    }
