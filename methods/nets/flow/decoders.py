"""Flow decoders: matching costs in, features and a flow out ("flow" card, sections 4 and 5).

Tensor names are the authors'.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.nets.flow.warp import bilinear_kernel

Widths = tuple[int, ...]
WIDTHS: Widths = (128, 128, 96, 64, 32)
REFINE_WIDTHS: Widths = (128, 128, 128, 96, 64, 32)
SLOPE = 0.1


def conv3x3(channels_in: int, channels_out: int, dilation: int = 1) -> nn.Conv2d:
    """3x3, stride 1, same size, with bias."""
    return nn.Conv2d(channels_in, channels_out, 3, padding=dilation, dilation=dilation)


def normed(
    channels_in: int, channels_out: int, dilation: int = 1, activation: nn.Module | None = None
) -> nn.Sequential:
    """Convolution, batch norm and, if given, an activation: tensors `.0.*` and `.1.*`."""
    layers: list[nn.Module] = [conv3x3(channels_in, channels_out, dilation), nn.BatchNorm2d(channels_out)]
    if activation is not None:
        layers.append(activation)
    return nn.Sequential(*layers)


def leaky(x: Tensor) -> Tensor:
    """Leaky ReLU with the slope of every flow decoder, 0.1."""
    return F.leaky_relu(x, SLOPE)


class ResidualDecoder(nn.Module):
    """WarpC-GLU-Net's decoder: five convolutions with two skips around pairs of them."""

    def __init__(self, channels_in: int, head: str = "predict_flow", widths: Widths = WIDTHS) -> None:
        super().__init__()
        for k, (before, after) in enumerate(zip((channels_in, *widths), widths, strict=False)):
            self.add_module(f"conv_{k}", normed(before, after))
        self.conv0_skip = _skip(widths[0], widths[2])
        self.conv2_skip = _skip(widths[2], widths[4])
        self.features = widths[-1]
        self.head = head
        self.add_module(head, conv3x3(widths[-1], 2))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, in, h, w) -> features (N, 32, h, w) by default, and by `head` a flow or a mapping (N, 2, h, w)."""
        conv_0, conv_1, conv_2, conv_3, conv_4 = (self.get_submodule(f"conv_{k}") for k in range(5))
        # The skips start before the activation, on purpose.
        entry = conv_0(x)
        middle = conv_2(leaky(conv_1(leaky(entry)))) + self.conv0_skip(entry)
        features = leaky(conv_4(leaky(conv_3(leaky(middle)))) + self.conv2_skip(middle))
        return features, self.get_submodule(self.head)(features)


def _skip(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels_in, channels_out, 1, bias=False), nn.BatchNorm2d(channels_out))


class DenseDecoder(nn.Module):
    """SemanticGLU-Net's decoder: each convolution sees all before it, newest first."""

    def __init__(self, channels_in: int, widths: Widths = WIDTHS) -> None:
        super().__init__()
        channels = channels_in
        for k, width in enumerate(widths):
            self.add_module(f"conv_{k}", normed(channels, width, activation=nn.LeakyReLU(SLOPE)))
            channels += width
        self.features = channels
        self.depth = len(widths)
        self.predict_flow = conv3x3(channels, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, in, h, w) -> all maps on top of each other (N, features, h, w), and their flow (N, 2, h, w)."""
        for k in range(self.depth):
            x = torch.cat((self.get_submodule(f"conv_{k}")(x), x), dim=1)
        return x, self.predict_flow(x)


class MappingDecoder(nn.Module):
    """SemanticGLU-Net's top decoder: a plain chain."""

    def __init__(self, channels_in: int, widths: Widths = WIDTHS) -> None:
        super().__init__()
        for k, (before, after) in enumerate(zip((channels_in, *widths), widths, strict=False)):
            self.add_module(f"conv{k}", normed(before, after, activation=nn.ReLU()))
        self.depth = len(widths)
        self.final = conv3x3(widths[-1], 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, in, h, w) -> the last features (N, widths[-1], h, w), and their mapping (N, 2, h, w)."""
        for k in range(self.depth):
            x = self.get_submodule(f"conv{k}")(x)
        return x, self.final(x)


def add_refinement(head: nn.Module, prefix: str, channels_in: int, widths: Widths = REFINE_WIDTHS) -> None:
    """Put the seven dilated convolutions `<prefix>1` .. `<prefix>7` into `head`."""
    dilations = (1, 2, 4, 8, 16, 1)
    for k, (before, after, dilation) in enumerate(zip((channels_in, *widths), widths, dilations, strict=False)):
        head.add_module(f"{prefix}{k + 1}", normed(before, after, dilation, nn.LeakyReLU(SLOPE)))
    head.add_module(f"{prefix}7", conv3x3(widths[-1], 2))


def refine(head: nn.Module, prefix: str, features: Tensor) -> Tensor:
    """The context refinement of a flow: decoder features (N, C, h, w) -> an addition to the flow (N, 2, h, w)."""
    for k in range(1, 8):
        features = head.get_submodule(f"{prefix}{k}")(features)
    return features


def upsampler(channels_in: int) -> nn.ConvTranspose2d:
    """Learned doubling of a map (N, in, h, w) -> (N, 2, 2h, 2w); a flow's starts as bilinear interpolation."""
    layer = nn.ConvTranspose2d(channels_in, 2, 4, stride=2, padding=1)
    if channels_in == 2:
        with torch.no_grad():
            layer.weight.zero_()
            for k in range(2):
                layer.weight[k, k] = bilinear_kernel()
            cast(Tensor, layer.bias).zero_()
    return layer
