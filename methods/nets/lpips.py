"""LPIPS 0.1 as a loss: torch alone, differentiable, for AlexNet and VGG16 (protocol card, 3.2).

The columns use the `lpips` package; a test holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from bench.core.checkpoint import load_strict

Backbone = Literal["alex", "vgg"]
# Convolutions by torchvision's index: (index, in, out, kernel, stride, padding); maps are taken after these ReLUs.
_ALEX = (
    (0, 3, 64, 11, 4, 2),
    (3, 64, 192, 5, 1, 2),
    (6, 192, 384, 3, 1, 1),
    (8, 384, 256, 3, 1, 1),
    (10, 256, 256, 3, 1, 1),
)
_VGG_WIDTHS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512)
_TAPS = {"alex": (1, 4, 7, 9, 11), "vgg": (3, 8, 15, 22, 29)}
_POOLS = {"alex": {2: (3, 2), 5: (3, 2)}, "vgg": {4: (2, 2), 9: (2, 2), 16: (2, 2), 23: (2, 2)}}
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


def _vgg() -> tuple[tuple[int, int, int, int, int, int], ...]:
    found, index, before = [], 0, 3
    for width in _VGG_WIDTHS:
        if width:
            found.append((index, before, width, 3, 1, 1))
            before, index = width, index + 2
        else:
            index += 1
    return tuple(found)


class Lpips(nn.Module):
    """Perceptual distance of two images."""

    shift: Tensor
    scale: Tensor

    def __init__(self, net: Backbone) -> None:
        super().__init__()
        self.net: Backbone = net
        self.features = nn.ModuleDict()
        convs = _ALEX if net == "alex" else _vgg()
        for index, inputs, outputs, kernel, stride, padding in convs:
            self.features[str(index)] = nn.Conv2d(inputs, outputs, kernel, stride, padding)
        widths = (64, 192, 384, 256, 256) if net == "alex" else (64, 128, 256, 512, 512)
        self.lins = nn.ParameterList(torch.zeros(1, width, 1, 1) for width in widths)
        self.register_buffer("shift", torch.tensor(_SHIFT).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(_SCALE).view(1, 3, 1, 1), persistent=False)

    def maps(self, images: Tensor) -> list[Tensor]:
        """Five feature maps, of length 1 over channels."""
        x, found = (images - self.shift) / self.scale, []
        for index in range(max(_TAPS[self.net]) + 1):
            if str(index) in self.features:
                x = self.features[str(index)](x)
            elif index in _POOLS[self.net]:
                x = nn.functional.max_pool2d(x, *_POOLS[self.net][index])
            else:
                x = nn.functional.relu(x)
            if index in _TAPS[self.net]:
                found.append(x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10))
        return found

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Distances (N,) of images float32 (N, 3, h, w) in about [-1, 1] to others, pair by pair."""
        return self.compare(self.maps(first), self.maps(second))

    def compare(self, first: list[Tensor], second: list[Tensor]) -> Tensor:
        """The distance (N,) of images whose maps are known."""
        parts = [
            (lin * (a - b).square()).sum(1).mean((1, 2)) for lin, a, b in zip(self.lins, first, second, strict=True)
        ]
        return torch.stack(parts).sum(0)


def build_lpips(net: Backbone, backbone: Mapping[str, Tensor], linear: Mapping[str, Tensor], where: str) -> Lpips:
    """LPIPS of torchvision's ImageNet backbone ("features.N.weight") and the package's linear weights ("linN...").

    Raises MissingError where the backbone lacks a tensor or one has another shape.
    """
    network = Lpips(net)
    wanted = network.state_dict()
    tensors = {name: backbone[name] for name in wanted if name.startswith("features.") and name in backbone}
    tensors |= {f"lins.{number}": linear[f"lin{number}.model.1.weight"] for number in range(5)}
    load_strict(network, tensors, where)
    return network.requires_grad_(False).eval()
