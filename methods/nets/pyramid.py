"""The pSp family's encoder: IR-SE backbone, feature pyramid, one map-to-style head per row (psp card 2, e4e card 2).

One class with two wirings: "rows" (pSp: every head gives its own row) and "deltas" (e4e: heads 1.. are added to head
0). `StyleHead` and `wire_heads` are shared with ReStyle, whose heads all read the last feature.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.nets.irse import IRSE, IRSEConfig
from methods.nets.stylegan2.layers import EqualLinear

Wiring = Literal["rows", "deltas"]


@dataclass(frozen=True)
class PyramidConfig:
    """Sizes of a pyramid encoder. The default is e4e at 1024 px (18 rows, 256 px input).

    Attributes:
        backbone: The IR-SE network; its last three stages feed the pyramid.
        rows: L, heads and rows of the codes.
        style_dim: D, length of a row.
        wiring: "rows" (pSp) or "deltas" (e4e).
        coarse: Heads 0 .. coarse - 1 read the last feature c3.
        middle: Heads coarse .. middle - 1 read p2, the rest p1.
        depths: Strided convolutions of the heads on c3, p2, p1: log2 of the feature's height (4, 5, 6 for 256 px).
    """

    backbone: IRSEConfig = field(default_factory=IRSEConfig)
    rows: int = 18
    style_dim: int = 512
    wiring: Wiring = "deltas"
    coarse: int = 3
    middle: int = 7
    depths: tuple[int, int, int] = (4, 5, 6)

    def level(self, row: int) -> int:
        """0 (c3), 1 (p2) or 2 (p1): which feature a head reads."""
        return 0 if row < self.coarse else 1 if row < self.middle else 2

    @staticmethod
    def depths_for(backbone: IRSEConfig, height: int) -> tuple[int, int, int]:
        """Head depths for square images of `height` pixels: log2 of each level's height."""
        heights = []
        for stride in backbone.strides:
            height = -(-height // stride)
            heights.append(height)
        coarse, middle, fine = (math.ceil(math.log2(side)) for side in (heights[-1], heights[-2], heights[-3]))
        return coarse, middle, fine


class StyleHead(nn.Module):
    """Map-to-style block: `depth` strided convolutions to 1x1, then an equalized linear layer -> (N, style_dim)."""

    def __init__(self, inputs: int, style_dim: int, depth: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for index in range(depth):
            # Slope 0.01 (the default) is right: only the generator uses 0.2.
            layers += [nn.Conv2d(inputs if index == 0 else style_dim, style_dim, 3, 2, 1), nn.LeakyReLU()]
        self.convs = nn.Sequential(*layers)
        self.linear = EqualLinear(style_dim, style_dim)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) -> one row of the codes (N, style_dim); h and w are 2**depth at most."""
        return self.linear(self.convs(x).flatten(1))


def wire_heads(outputs: Sequence[Tensor], wiring: Wiring) -> Tensor:
    """Codes without latent_avg, (N, L, D), of the heads' outputs, L tensors (N, D)."""
    rows = torch.stack(list(outputs), 1)
    if wiring == "rows":
        return rows
    return torch.cat([rows[:, :1], rows[:, :1] + rows[:, 1:]], 1)


def upsample_add(coarse: Tensor, lateral: Tensor) -> Tensor:
    """`coarse` resized to `lateral`'s size (bilinear, corners aligned) plus `lateral`."""
    return F.interpolate(coarse, size=lateral.shape[2:], mode="bilinear", align_corners=True) + lateral


class Encoded(NamedTuple):
    """What a W+ encoder says of images.

    Attributes:
        codes: (N, L, D), with or without latent_avg as its maker says.
        taps: The backbone's c0..c3, (N, C, h, w) each; F_0 of StyleRes and WarpRes is c1.
    """

    codes: Tensor
    taps: tuple[Tensor, ...]


class PyramidEncoder(IRSE):
    """Images (N, 3, h, w) in [-1, 1] -> codes (N, L, D) without latent_avg; e4e or pSp by `config.wiring`."""

    def __init__(self, config: PyramidConfig | None = None) -> None:
        config = config or PyramidConfig()
        super().__init__(config.backbone)
        self.config = config
        fine, middle, width = config.backbone.widths[-3:]
        self.styles = nn.ModuleList(
            StyleHead(width, config.style_dim, config.depths[config.level(row)]) for row in range(config.rows)
        )
        self.latlayer1 = nn.Conv2d(middle, width, 1)
        self.latlayer2 = nn.Conv2d(fine, width, 1)

    def encode(self, x: Tensor) -> Encoded:
        """Codes without latent_avg, and taps."""
        taps = self.taps(x)
        return Encoded(self.codes_of(taps), taps)

    def codes_of(self, taps: Sequence[Tensor]) -> Tensor:
        """Codes (N, L, D) without latent_avg of the backbone's taps."""
        c1, c2, c3 = taps[-3:]
        p2 = upsample_add(c3, self.latlayer1(c2))
        p1 = upsample_add(p2, self.latlayer2(c1))
        levels = (c3, p2, p1)
        outputs = [head(levels[self.config.level(row)]) for row, head in enumerate(self.styles)]
        return wire_heads(outputs, self.config.wiring)

    def forward(self, x: Tensor) -> Tensor:
        """The codes alone; `encode` gives the taps as well."""
        return self.encode(x).codes
