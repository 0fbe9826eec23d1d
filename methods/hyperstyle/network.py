"""HyperStyle's networks: the W encoder and the hypernetwork that predicts weight offsets (hyperstyle card 2 and 4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.nets.irse import IRSE, IRSEConfig
from methods.nets.resnet34 import ResNetBody, ResNetConfig
from methods.nets.stylegan2 import GeneratorConfig
from methods.nets.stylegan2.layers import EqualLinear

TUNED = (0, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18, 20, 21, 23, 24)


@dataclass(frozen=True)
class HyperConfig:
    """Sizes of HyperStyle. The default is the released face model.

    Attributes:
        resnet: Backbone on (image, reconstruction).
        w_encoder: Backbone of the W encoder.
        tuned: Official offset indices of the tuned layers: 0 is conv1, 2 + 3k the up-sampling and 3 + 3k the plain
            convolution of block k; the to-RGB indices (1, 4 + 3k) are never tuned.
        shared_width: Channels inside the blocks of square layers (inputs = outputs = the generator's widest).
        own_width: Channels inside the blocks of the other layers.
        own_features: Numbers from which such a block makes its layer's offsets; the backbone's last width when None.
        iterations: Refinement steps.
    """

    resnet: ResNetConfig = field(default_factory=ResNetConfig)
    w_encoder: IRSEConfig = field(default_factory=IRSEConfig)
    tuned: tuple[int, ...] = TUNED
    shared_width: int = 128
    own_width: int = 256
    own_features: int | None = None
    iterations: int = 5


def layer_of(index: int) -> int:
    """Convolution layer of the generator that an official offset index tunes: 0, 2, 3, 5, 6 -> 0, 1, 2, 3, 4."""
    if index % 3 == 1:
        raise ValueError(f"offset index {index} is a to-RGB layer")
    return 2 * (index // 3) + (index % 3 == 2)


class WEncoder(IRSE):
    """Images (N, 3, h, w) -> one w (N, D) without latent_avg."""

    def __init__(self, config: IRSEConfig, style_dim: int) -> None:
        super().__init__(config)
        self.linear = EqualLinear(config.widths[-1], style_dim)

    def forward(self, x: Tensor) -> Tensor:
        """The last stage's feature, averaged over its positions, through the linear layer."""
        return self.linear(self.taps(x)[-1].mean((2, 3)))


def _convs(sizes: list[tuple[int, int, int]]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs, stride in sizes:
        layers += [nn.Conv2d(inputs, outputs, 3, stride, 1), nn.LeakyReLU()]
    return nn.Sequential(*layers)


class SharedBlock(nn.Module):
    """Feature (N, C, h, w) -> the vector (N, C) from which the shared hypernetwork makes a square layer's offsets."""

    def __init__(self, channels: int, width: int, halvings: int) -> None:
        super().__init__()
        inner = [(width, width, 2)] * (halvings - 1)
        self.convs = _convs([(channels, width, 1), *inner, (width, channels, 2)])
        self.linear = EqualLinear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C): strided convolutions down to one position, and a linear layer."""
        return self.linear(self.convs(x).flatten(1))


class SharedHyper(nn.Module):
    """Two matrices shared by all square layers: vectors (N, C) -> offsets (N, C, C, 3, 3), out before in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.w1, self.b1 = nn.Parameter(torch.randn(channels, channels * 9)), nn.Parameter(torch.zeros(channels * 9))
        self.w2, self.b2 = nn.Parameter(torch.randn(channels, channels**2)), nn.Parameter(torch.zeros(channels**2))

    def forward(self, z: Tensor) -> Tensor:
        """The vector times w2 gives a row of length C for each output channel, and that times w1 its 9 C taps."""
        c = self.channels
        rows = torch.addmm(self.b2, z, self.w2).view(-1, c)
        return torch.addmm(self.b1, rows, self.w1).view(-1, c, c, 3, 3)


class OwnBlock(nn.Module):
    """Feature (N, C, h, w) -> offsets (N, out, in, 1, 1) of one layer: one number per channel pair for all taps."""

    def __init__(self, channels: int, width: int, features: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.inputs, self.outputs = inputs, outputs
        self.convs = _convs([(channels, width, 2), (width, width, 2), (width, features, 2)])
        self.output = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(features, outputs * inputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        """The convolutions' mean over positions, through one matrix with a row for each channel pair."""
        pooled = self.convs(x).mean((2, 3))
        last: Any = self.output[1]
        # A 1x1 convolution on one pixel is a product with a matrix, and a large one: no layout copies this way.
        return F.linear(pooled, last.weight.flatten(1), last.bias).view(-1, self.outputs, self.inputs, 1, 1)


class HyperNet(ResNetBody):
    """(image, reconstruction) (N, 6, h, w) -> offsets by convolution layer of the generator."""

    def __init__(self, config: HyperConfig, generator: GeneratorConfig, input_width: int) -> None:
        super().__init__(config.resnet)
        channels, widest = config.resnet.widths[-1], generator.channels[4]
        features = config.own_features or channels
        halvings = (input_width // 2 ** len(config.resnet.widths)).bit_length() - 1
        self.refinement_blocks = nn.ModuleDict()
        for index in config.tuned:
            layer = layer_of(index)
            if layer >= generator.layers:
                continue
            outputs = generator.channels[generator.layer_size(layer)]
            inputs = generator.channels[generator.layer_size(layer - 1)] if layer else outputs
            self.refinement_blocks[str(index)] = (
                SharedBlock(channels, config.shared_width, halvings)
                if inputs == outputs == widest
                else OwnBlock(channels, config.own_width, features, inputs, outputs)
            )
        self.shared_weight_hypernet = SharedHyper(widest)

    def forward(self, x: Tensor) -> dict[int, Tensor]:
        """By convolution layer, ascending: (N, out, in, 3, 3) of square layers, else (N, out, in, 1, 1)."""
        feature = self.features(x)
        offsets: dict[int, Tensor] = {}
        shared: dict[int, Tensor] = {}
        for index, block in self.refinement_blocks.items():
            (shared if isinstance(block, SharedBlock) else offsets)[layer_of(int(index))] = block(feature)
        if shared:
            # All layers at once: the shared matrix (0.5 GB) is read once instead of once a layer.
            together = self.shared_weight_hypernet(torch.cat(list(shared.values()))).split(len(x))
            offsets |= dict(zip(shared, together, strict=True))
        return dict(sorted(offsets.items()))
