"""The shipped generator of the world, for those who sample it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from bench.core.checkpoint import load_strict, read_checkpoint, state_dict_of, take
from bench.world.networks import WEIGHTS
from methods.nets.configs import from_dict
from methods.nets.stylegan2 import Generator, GeneratorConfig


def load_shipped_generator(folder: Path = WEIGHTS) -> Generator:
    """The world's generator of a folder of weights, in eval mode. Raises MissingError where it is absent or damaged."""
    content = read_checkpoint(folder / "generator.safetensors")
    generator = Generator(from_dict(GeneratorConfig, content["metadata"]["config"]["generator"]))
    load_strict(generator, take(state_dict_of(content), "decoder."), "generator.safetensors")
    return generator.eval().requires_grad_(False)


@torch.inference_mode()
def sample_images(generator: Generator, count: int, seed: int = 103) -> Tensor:
    """Generated images (count, 3, 64, 64), clamped to [-1, 1]."""
    z = torch.randn(count, generator.config.style_dim, generator=torch.Generator().manual_seed(seed))
    parts = [generator(generator.broadcast(generator.mapping(part))) for part in z.to(generator.input.input).split(50)]
    return torch.cat(parts).clamp(-1, 1)
