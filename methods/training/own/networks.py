"""Networks that a training on a generator of one's own starts from: given as files, or none at all."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.core.errors import MissingError, UsageError
from bench.weights.registry import locate
from methods.generators import load_generator
from methods.nets.stylegan2 import Generator
from methods.training.loss_networks import load_identity, load_vgg16

Perceptual = Literal["none", "vgg16"]
Identity = Literal["none", "moco"]


def given_generator(file: str, device: torch.device, recipe: str) -> tuple[Generator, Tensor]:
    """The generator of a file in any layout that the bench knows, frozen, and its mean w (D,)."""
    if not file:
        raise MissingError("no generator is given", f"python -m methods.training {recipe} --set generator=FILE")
    generator, average = load_generator(Path(file), device)
    return generator, average.mean(0)


def check_used(name: Perceptual, weight: float) -> None:
    """Raise UsageError where Phi is named and no loss weighs anything that asks it."""
    if name != "none" and not weight:
        raise UsageError(
            f"perceptual_network = {name} has nothing to do: weights.perceptual is 0", "--set weights.perceptual=1e-3"
        )


def perceptual_network(name: Perceptual, device: torch.device) -> nn.Module:
    """Phi: VGG16, fetched by the registry, or one that sees nothing."""
    return load_vgg16(locate("vgg16-keras")).to(device) if name == "vgg16" else _Blind()


def identity_network(name: Identity, device: torch.device) -> nn.Module:
    """A for things that have no face: MoCo's ResNet-50, or one that tells nothing apart."""
    return _Squared(load_identity(locate("moco-v2-resnet50"), "cars")).to(device) if name == "moco" else _Blind()


class _Blind(nn.Module):
    """Stands for a network whose loss has no weight: empty features."""

    def forward(self, images: Tensor) -> Tensor:
        return images.new_zeros(len(images), 0)


class _Squared(nn.Module):
    """Images of any size brought to what the network takes."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return self.network(F.interpolate(images, size=(224, 224), mode="bilinear", antialias=True))
