"""E_1 and E_2 in three published builds ("styleres" card section 5, "warpres" card section 2).

E_1 (extractor) turns encoder features F_0 and generator features F_g into residual features F_a, once an image. E_2
(injector) turns F_a, warped or not, and the edited generator's features F_e into what is added to F_e.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.core.errors import UsageError
from methods.nets.resblocks import ResBlock, resize_aligned

Arch = Literal["paper", "styleres", "group_reduced"]
Init = Literal["torch_default", "zero_last"]


@dataclass(frozen=True)
class ResidualConfig:
    """Sizes of E_1 and E_2.

    Attributes:
        arch: "paper" (WarpRes text), "styleres" (released checkpoint), "group_reduced" (the group's later one).
        width: Channels inside; 128 for "paper", 512 for the others.
        base_channels: Of the encoder features F_0.
        feature_channels: Of the generator features F_g and F_e, and of F_a.
        init: "zero_last" starts E_2 at zero, so that training begins at the base encoder's own image. Only where
            E_2's last block changes the channel number: an identity shortcut cannot start at zero.
    """

    arch: Arch = "paper"
    width: int = 128
    base_channels: int = 128
    feature_channels: int = 512
    init: Init = "torch_default"


class PaperExtractor(nn.Module):
    """E_1 of the WarpRes text: three blocks down, three up, sums between equal sizes."""

    def __init__(self, config: ResidualConfig) -> None:
        super().__init__()
        width = config.width
        self.first_layer = nn.Conv2d(config.base_channels + config.feature_channels, width, 1)
        self.down = nn.ModuleList(ResBlock(width, width, 2) for _ in range(3))
        self.up = nn.ModuleList(ResBlock(width, width) for _ in range(3))
        self.out_layer = nn.Conv2d(width, config.feature_channels, 1)

    def forward(self, base: Tensor, features: Tensor) -> Tensor:
        """F_0 (N, B, h, w) and F_g (N, C, h, w) -> F_a (N, C, h, w); h and w multiples of 8."""
        x = self.first_layer(torch.cat((base, features), dim=1))
        skips = []
        for block in self.down:
            skips.append(x)
            x = block(x)
        for block, skip in zip(self.up, reversed(skips), strict=True):
            x = block(resize_aligned(x, skip) + skip)
        return self.out_layer(x)


class PaperInjector(nn.Module):
    """E_2 of the WarpRes text: halve both inputs, concatenate, four blocks; the result is added as it is."""

    def __init__(self, config: ResidualConfig) -> None:
        super().__init__()
        channels, width = config.feature_channels, config.width
        self.down1 = nn.Conv2d(channels, channels // 2, 3, padding=1)
        self.down2 = nn.Conv2d(channels, channels // 2, 3, padding=1)
        entry = 2 * (channels // 2)
        self.convs = nn.Sequential(
            ResBlock(entry, width), ResBlock(width, width), ResBlock(width, width), ResBlock(width, channels)
        )

    def forward(self, features: Tensor, residual: Tensor) -> tuple[Tensor, Tensor | None]:
        """F_e and F_a (or F_wa), both (N, C, h, w) -> the addition F (N, C, h, w) and no gate."""
        return self.convs(torch.cat((self.down1(features), self.down2(residual)), dim=1)), None


class Alignment(nn.Module):
    """First half of the released E_1: encoder-decoder over three sizes; `dconv3` is stored but never run."""

    def __init__(self, config: ResidualConfig) -> None:
        super().__init__()
        width = config.width
        self.first_layer = nn.Conv2d(config.base_channels + config.feature_channels, width, 1)
        self.conv1 = nn.Sequential(ResBlock(width, width))
        self.conv2 = nn.Sequential(ResBlock(width, width, 2), ResBlock(width, width))
        self.conv3 = nn.Sequential(ResBlock(width, width, 2), ResBlock(width, width))
        self.dconv1 = nn.Sequential(ResBlock(width, width), ResBlock(width, width))
        self.dconv2 = nn.Sequential(ResBlock(width, width), ResBlock(width, width))
        self.dconv3 = nn.Sequential(ResBlock(width, width), ResBlock(width, width))
        self.out_layer = nn.Conv2d(width, width, 1)

    def forward(self, base: Tensor, features: Tensor) -> Tensor:
        """F_0 (N, B, h, w) and F_g (N, C, h, w) -> (N, width, h, w)."""
        full = self.conv1(self.first_layer(torch.cat((base, features), dim=1)))
        half = self.conv2(full)
        x = self.conv3(half)
        x = self.dconv1(resize_aligned(x, half) + half)
        x = self.dconv2(resize_aligned(x, full) + full)
        return self.out_layer(x)


class Extraction(nn.Module):
    """Second half of the released E_1: three flat blocks."""

    def __init__(self, config: ResidualConfig) -> None:
        super().__init__()
        width = config.width
        self.first_layer = nn.Conv2d(width, config.feature_channels, 1)
        self.convs = nn.Sequential(*(ResBlock(config.feature_channels, config.feature_channels) for _ in range(3)))

    def forward(self, aligned: Tensor) -> Tensor:
        """The alignment's (N, width, h, w) -> F_a (N, C, h, w)."""
        return self.convs(self.first_layer(aligned))


class StyleResExtractor(nn.Module):
    """E_1 of the released StyleRes: alignment, then extraction."""

    def __init__(self, config: ResidualConfig) -> None:
        super().__init__()
        self.alignment = Alignment(config)
        self.extraction = Extraction(config)

    def forward(self, base: Tensor, features: Tensor) -> Tensor:
        """F_0 (N, B, h, w) and F_g (N, C, h, w) -> F_a (N, C, h, w)."""
        return self.extraction(self.alignment(base, features))


class StyleResInjector(nn.Module):
    """E_2 of the released StyleRes: an addition and a one-channel gate for it."""

    def __init__(self, config: ResidualConfig) -> None:
        super().__init__()
        channels = config.feature_channels
        self.down1 = nn.Conv2d(channels, channels // 2, 3, padding=1)
        self.down2 = nn.Conv2d(channels, channels // 2, 3, padding=1)
        channels = 2 * (channels // 2)
        self.convs = nn.Sequential(*(ResBlock(channels, channels) for _ in range(3)))
        self.convs2 = nn.Sequential(ResBlock(channels, channels), ResBlock(channels, channels), ResBlock(channels, 1))

    def forward(self, features: Tensor, residual: Tensor) -> tuple[Tensor, Tensor | None]:
        """F_e and F_a, both (N, C, h, w) -> the addition (N, C, h, w) and its gate (N, 1, h, w) in (0, 1)."""
        halves = torch.cat((self.down1(features), self.down2(residual)), dim=1)
        return self.convs(halves), torch.sigmoid(self.convs2(halves))


def _chain(blocks: nn.ModuleList, x: Tensor) -> Tensor:
    """Blocks with a leaky ReLU after every one but the last."""
    for k, block in enumerate(blocks):
        x = block(x)
        if k < len(blocks) - 1:
            x = F.leaky_relu(x, 0.2)
    return x


class ReducedExtractor(nn.Module):
    """E_1 of the group's reduced build: an entry convolution and three flat blocks."""

    def __init__(self, config: ResidualConfig) -> None:
        super().__init__()
        channels = config.feature_channels
        self.first_layer = nn.Conv2d(config.base_channels + channels, channels, 3, padding=1)
        self.convs = nn.ModuleList(ResBlock(channels, channels) for _ in range(3))

    def forward(self, base: Tensor, features: Tensor) -> Tensor:
        """F_0 (N, B, h, w) and F_g (N, C, h, w) -> F_a (N, C, h, w)."""
        return _chain(self.convs, self.first_layer(torch.cat((base, features), dim=1)))


class ReducedInjector(nn.Module):
    """E_2 of the group's reduced build: five flat blocks, no gate."""

    def __init__(self, config: ResidualConfig) -> None:
        super().__init__()
        channels = config.feature_channels
        self.down1 = nn.Conv2d(channels, channels // 2, 3, padding=1)
        self.down2 = nn.Conv2d(channels, channels // 2, 3, padding=1)
        self.convs = nn.ModuleList(ResBlock(channels, channels) for _ in range(5))

    def forward(self, features: Tensor, residual: Tensor) -> tuple[Tensor, Tensor | None]:
        """F_e and F_a (or F_wa), both (N, C, h, w) -> the addition F (N, C, h, w) and no gate."""
        return _chain(self.convs, torch.cat((self.down1(features), self.down2(residual)), dim=1)), None


_BUILDS: dict[str, tuple[type[nn.Module], type[nn.Module]]] = {
    "paper": (PaperExtractor, PaperInjector),
    "styleres": (StyleResExtractor, StyleResInjector),
    "group_reduced": (ReducedExtractor, ReducedInjector),
}


def build_residual(config: ResidualConfig) -> tuple[nn.Module, nn.Module]:
    """E_1 and E_2 of a configuration. Raises UsageError for an unknown `arch` or an `init` it cannot have."""
    if config.arch not in _BUILDS:
        raise UsageError(f"unknown arch {config.arch!r} of E_1 and E_2", f"known: {', '.join(_BUILDS)}")
    extractor, injector = (build(config) for build in _BUILDS[config.arch])
    if config.init == "zero_last":
        blocks = injector.convs
        assert isinstance(blocks, nn.Sequential | nn.ModuleList)
        last = blocks[-1]
        assert isinstance(last, ResBlock)
        if last.shortcut_layer is None:
            raise UsageError(
                f"init = zero_last cannot silence arch {config.arch!r} at width {config.width}: "
                "its last block adds its input",
                "use arch paper with a width other than feature_channels, or init = torch_default",
            )
        last.silence()
    return extractor, injector
