"""StyleGAN2's discriminator with rosinality's tensor names (stylegan2 card, section 7)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.nets.stylegan2.generator import CONFIG_F
from methods.nets.stylegan2.layers import EqualLinear, _Kernel, fir_filter, fused_leaky_relu


@dataclass(frozen=True)
class DiscriminatorConfig:
    """Sizes of a discriminator. The default is config-f at 1024 px.

    Attributes:
        size: Side of the images, a power of two.
        channels: Of each resolution from 4 to `size`.
        clamp: Bound of every layer's output (256 in NVIDIA's networks; in a block's second layer after the division by
            sqrt 2 alike, which is the same bound); None: unbounded.
    """

    size: int = 1024
    channels: Mapping[int, int] = field(default_factory=lambda: dict(CONFIG_F))
    clamp: float | None = None

    @classmethod
    def half(cls, size: int = 256) -> DiscriminatorConfig:
        """NVIDIA's own networks for 256 px: half of config-f's channels from 64 px on, 24.0 M parameters at 256."""
        widths = {side: min(512, 16384 // side) for side in CONFIG_F if side <= size}
        return cls(size, widths, clamp=256.0)


class _EqualConv(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, padding: int = 0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.scale, self.stride, self.padding = 1 / math.sqrt(inputs * kernel * kernel), stride, padding

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.scale, stride=self.stride, padding=self.padding)


class _Blur(_Kernel):
    def __init__(self, pad: int) -> None:
        super().__init__(gain=1.0)
        self.pad = (pad, pad)

    def forward(self, x: Tensor) -> Tensor:
        return fir_filter(x, self.kernel, self.pad)


class _Act(nn.Module):
    def __init__(self, channels: int, clamp: float | None) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))
        self.clamp = clamp

    def forward(self, x: Tensor) -> Tensor:
        x = fused_leaky_relu(x, self.bias)
        return x if self.clamp is None else x.clamp(-self.clamp, self.clamp)


def _layer(inputs: int, outputs: int, kernel: int, clamp: float | None) -> nn.Sequential:
    return nn.Sequential(_EqualConv(inputs, outputs, kernel, padding=kernel // 2), _Act(outputs, clamp))


class _Block(nn.Module):
    """Residual block C(R) -> C(R/2), halving the size."""

    def __init__(self, inputs: int, outputs: int, clamp: float | None) -> None:
        super().__init__()
        self.conv1 = _layer(inputs, inputs, 3, clamp)
        self.conv2 = nn.Sequential(_Blur(2), _EqualConv(inputs, outputs, 3, stride=2), _Act(outputs, clamp))
        self.skip = nn.Sequential(_Blur(1), _EqualConv(inputs, outputs, 1, stride=2))

    def forward(self, x: Tensor) -> Tensor:
        return (self.conv2(self.conv1(x)) + self.skip(x)) / math.sqrt(2.0)


def minibatch_deviation(x: Tensor, group: int = 4) -> Tensor:
    """x (N, C, h, w) with one more channel: the mean standard deviation of its group of images j mod (N / group)."""
    n, c, h, w = x.shape
    group = min(n, group)
    grouped = x.reshape(group, n // group, c, h, w)
    deviation = torch.sqrt(grouped.var(0, unbiased=False) + 1e-8).mean((1, 2, 3))
    return torch.cat([x, deviation.repeat(group)[:, None, None, None].expand(n, 1, h, w)], 1)


class Discriminator(nn.Module):
    """Logits (N, 1) of images (N, 3, S, S) in [-1, 1]; N must be a multiple of min(N, 4)."""

    def __init__(self, config: DiscriminatorConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or DiscriminatorConfig()
        channels, size, clamp = config.channels, config.size, config.clamp
        blocks: list[nn.Module] = [_layer(3, channels[size], 1, clamp)]
        while size > 4:
            blocks.append(_Block(channels[size], channels[size // 2], clamp))
            size //= 2
        self.convs = nn.Sequential(*blocks)
        top = channels[4]
        self.final_conv = _layer(top + 1, top, 3, clamp)
        self.final_linear = nn.Sequential(EqualLinear(top * 16, top, act=True), EqualLinear(top, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, 1), larger for what looks real; an image's depends on its batch (`minibatch_deviation`)."""
        x = self.final_conv(minibatch_deviation(self.convs(images)))
        return self.final_linear(x.flatten(1))
