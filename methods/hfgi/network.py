"""What only HFGI has: the alignment of the residual (ADA), the consultation encoder and the fusion into the generator.

Facts: hfgi card, section 4. Both networks are built from the IR unit without squeeze-excitation; module names are the
official file's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.nets.irse import IRSEConfig, Unit
from methods.nets.stylegan2.layers import fused_leaky_relu

_PLAIN = IRSEConfig(squeeze_excite=False)


@dataclass(frozen=True)
class HfgiConfig:
    """Sizes of HFGI's own networks; the defaults are the released faces network.

    Attributes:
        align_widths: Channels of the alignment network at full, 1/2, 1/4 and 1/8 of the input's resolution.
        consult_widths: Channels of the consultation encoder's three stages.
        consult_strides: Strides of its second and third stage (to 1/4 of the input's resolution when released).
        feature_width: Channels of the generator feature that is fused.
        fuse_after: Generator layers that have run when scale and shift apply (8: after the 64 px up-convolution).
    """

    align_widths: tuple[int, int, int, int] = (16, 32, 48, 64)
    consult_widths: tuple[int, int, int] = (32, 48, 64)
    consult_strides: tuple[int, int] = (2, 2)
    feature_width: int = 512
    fuse_after: int = 8


def _stem(width_in: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width_in, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.PReLU(width),
    )


def _down(width_in: int, width: int, stride: int = 2) -> nn.Sequential:
    return nn.Sequential(_unit(width_in, width, stride), _unit(width, width), _unit(width, width))


def _merge(width_in: int, middle: int, width: int) -> nn.Sequential:
    return nn.Sequential(_unit(width_in, middle), _unit(middle, width), _unit(width, width))


def _unit(width_in: int, width: int, stride: int = 1) -> Unit:
    return Unit(width_in, width, stride, _PLAIN)


class Alignment(nn.Module):
    """ADA: moves the residual of the unedited image to where the edited image shows the same things.

    A small U-Net that predicts the aligned residual itself, not a flow.
    """

    def __init__(self, config: HfgiConfig | None = None) -> None:
        super().__init__()
        config = config or HfgiConfig()
        full, half, quarter, eighth = config.align_widths
        self.conv_layer1 = _stem(6, full)
        self.conv_layer2 = _down(full, half)
        self.conv_layer3 = _down(half, quarter)
        self.conv_layer4 = _down(quarter, eighth)
        self.dconv_layer1 = _merge(eighth + quarter, eighth, half)
        self.dconv_layer2 = _merge(half + half, half, full)
        self.dconv_layer3 = _merge(full + full, full, 3)

    def forward(self, residual: Tensor, image: Tensor) -> Tensor:
        """Aligned residual (N, 3, h, w).

        Args:
            residual: float32 (N, 3, h, w), input minus base image, in [-2, 2].
            image: float32 (N, 3, h, w) in [-1, 1], the (edited) base image to align to.
        """
        f1 = self.conv_layer1(torch.cat([residual, image], dim=1))
        f2 = self.conv_layer2(f1)
        f3 = self.conv_layer3(f2)
        x = self.conv_layer4(f3)
        for merge, skip in ((self.dconv_layer1, f3), (self.dconv_layer2, f2), (self.dconv_layer3, f1)):
            x = F.interpolate(x, size=skip.shape[2:], mode="bilinear", align_corners=False)
            x = merge(torch.cat([x, skip], dim=1))
        return x


class EqualConv(nn.Module):
    """3x3 convolution whose weight is scaled by 1 / sqrt(9 * inputs) when it runs; the bias is used as it is."""

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(width, width_in, 3, 3))
        self.bias = nn.Parameter(torch.zeros(width))
        self.scale = 1 / math.sqrt(9 * width_in)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width_in, h, w) -> (N, width, h, w)."""
        return F.conv2d(x, self.weight * self.scale, self.bias, padding=1)


class _FusedLeakyReLU(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return fused_leaky_relu(x)


def _condition(width_in: int, width: int) -> nn.Sequential:
    return nn.Sequential(EqualConv(width_in, width), _FusedLeakyReLU(), EqualConv(width, width))


class Consultation(nn.Module):
    """Consultation encoder: turns the aligned residual into a scale and a shift of the generator's features."""

    def __init__(self, config: HfgiConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or HfgiConfig()
        full, half, quarter = config.consult_widths
        self.conv_layer1 = _stem(3, full)
        self.conv_layer2 = _down(full, half, config.consult_strides[0])
        self.conv_layer3 = _down(half, quarter, config.consult_strides[1])
        self.condition_scale3 = _condition(quarter, config.feature_width)
        self.condition_shift3 = _condition(quarter, config.feature_width)

    def forward(self, aligned: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and shift, each (N, feature_width, h / 4, w / 4) when released, of an aligned residual (N, 3, h, w)."""
        x = self.conv_layer3(self.conv_layer2(self.conv_layer1(aligned)))
        return self.condition_scale3(x), self.condition_shift3(x)


def low_rate(image: Tensor, size: tuple[int, int]) -> Tensor:
    """A generated image as HFGI compares it: clamped to [-1, 1], then bilinear to `size` without antialiasing."""
    return F.interpolate(image.clamp(-1, 1), size=size, mode="bilinear", align_corners=False)


def fuse(features: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """features * (1 + scale) + shift, all (N, C, h, w); scale and shift are resized where a configuration needs it."""
    size = features.shape[2:]
    if scale.shape[2:] != size:
        scale = F.interpolate(scale, size=size, mode="bilinear", align_corners=False)
        shift = F.interpolate(shift, size=size, mode="bilinear", align_corners=False)
    return torch.addcmul(features + shift, features, scale)
