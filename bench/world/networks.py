"""The world's own judges: small networks that we trained on rendered scenes and ship.

* an attribute regressor (smile, yaw, age), so that attributes are measured on images and never read from a latent;
* an identity embedder (the same person under another pose, smile, light and background against somebody else);
* a feature network for Fréchet and perceptual distances.

Their metrics are called `fd@synthetic-2`, `lpips@synthetic-2`, `id@synthetic-2`: they are not the paper's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.core.checkpoint import load_strict, read_checkpoint, state_dict_of, take
from bench.world.scene import FIELDS

WEIGHTS = Path(__file__).parent / "weights"
ATTRIBUTES = ("smile", "yaw", "age")
YAW_UNIT = 30.0  # the regressor's yaw output is in units of this many degrees
WIDTHS = (24, 48, 72, 96)


class WorldNet(nn.Module):
    """Four stages of two convolutions (the first halves the size), then a linear layer on the flattened 4x4 map.

    forward: images float32 (N, 3, 64, 64) in [-1, 1] -> (N, outputs).
    """

    def __init__(self, outputs: int, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.stages = nn.ModuleList()
        before = 3
        for width in widths:
            self.stages.append(nn.Sequential(*_conv(before, width, 2), *_conv(width, width, 1)))
            before = width
        self.head = nn.Linear(before * 16, outputs)

    def maps(self, images: Tensor) -> list[Tensor]:
        """Feature maps after each stage: (N, width, 32, 32), ..., (N, width, 4, 4)."""
        maps = []
        x = images
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps

    def forward(self, images: Tensor) -> Tensor:
        """Images float32 (N, 3, 64, 64) in [-1, 1] -> (N, outputs)."""
        return self.head(self.maps(images)[-1].flatten(1))


def _conv(before: int, width: int, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(before, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.LeakyReLU(0.1)]


@dataclass(frozen=True)
class WorldNetworks:
    """The three judges, in eval mode; every function takes float32 (N, 3, 64, 64) in [-1, 1]."""

    regressor: WorldNet
    embedder: WorldNet
    describer: WorldNet

    def attributes(self, images: Tensor) -> Mapping[str, Tensor]:
        """Measured smile (units of the scene), yaw (degrees, + right) and age (0..1), each (N,)."""
        values = dict(zip(ATTRIBUTES, self.regressor(images).unbind(1), strict=True))
        return values | {"yaw": values["yaw"] * YAW_UNIT}

    def embed(self, images: Tensor) -> Tensor:
        """Identity embeddings (N, 128) of length 1."""
        return F.normalize(self.embedder(images), dim=1)

    def features(self, images: Tensor) -> list[Tensor]:
        """Four feature maps, for the perceptual distance."""
        return self.describer.maps(images)

    def pooled(self, maps: Sequence[Tensor]) -> Tensor:
        """Features (N, 168) for the Fréchet distance: spatial means of the last two of the feature maps."""
        return torch.cat([map_.mean((2, 3)) for map_ in maps[-2:]], 1)

    @property
    def digest(self) -> str:
        """Hex SHA-256 of all weights: part of the digest of every evaluator that uses them."""
        digest = hashlib.sha256()
        for name, module in self.modules().items():
            for key, tensor in module.state_dict().items():
                digest.update(f"{name}.{key} ".encode())
                digest.update(tensor.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def modules(self) -> dict[str, WorldNet]:
        """The networks by name."""
        return {"regressor": self.regressor, "embedder": self.embedder, "describer": self.describer}

    def to(self, device: torch.device | str) -> WorldNetworks:
        """The same networks, moved in place."""
        for module in self.modules().values():
            module.to(device)
        return self


def new_networks() -> WorldNetworks:
    """Untrained networks: attributes, a 128-d identity, and every field of a scene (so that features must see
    details).
    """
    return WorldNetworks(WorldNet(len(ATTRIBUTES)), WorldNet(128), WorldNet(len(FIELDS)))


def load_world_networks(folder: Path = WEIGHTS, device: torch.device | str = "cpu") -> WorldNetworks:
    """The shipped judges (`judges.safetensors`). Raises MissingError where the file is missing or damaged."""
    return _load(folder / "judges.safetensors").to(device)


def load_critics(path: Path) -> tuple[WorldNet, WorldNet]:
    """(describer, embedder) of a `critics.safetensors`: what losses may see, never what measures."""
    networks = _load(path)
    return networks.describer, networks.embedder


def _load(path: Path) -> WorldNetworks:
    networks = new_networks()
    tensors = state_dict_of(read_checkpoint(path))
    for name, module in networks.modules().items():
        load_strict(module, take(tensors, f"{name}."), f"{path.name} ({name})")
        module.eval().requires_grad_(False)
    return networks
