"""What only FeatureStyle has: its IResNet encoder that reads style codes and a feature map off one trunk.

Facts: feature_style card, sections 3 to 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class FeatureEncoderConfig:
    """Sizes of the encoder; the defaults are the released FFHQ network.

    Attributes:
        halvings: Times the input is halved (2x2 mean) before the trunk reads it: 1024 px -> 256 px.
        stem: Channels of the first convolution.
        widths: Channels of the four stages.
        depths: Blocks of the four stages.
        strides: Of each stage's first block (all 2 in the released network).
        rows: L, number of style codes.
        style_dim: D, length of a style code.
        pooled: Side of the grid each stage is averaged to before the style heads.
        feature_width: Channels of the feature map.
        feature_stride: Stride of its last convolution, relative to the third stage.
        insert_at: The generator layer whose input the feature map replaces (5: the 32 px up-convolution).
    """

    halvings: int = 2
    stem: int = 64
    widths: tuple[int, ...] = (64, 128, 256, 512)
    depths: tuple[int, ...] = (3, 4, 14, 3)
    strides: tuple[int, ...] = (2, 2, 2, 2)
    rows: int = 18
    style_dim: int = 512
    pooled: int = 3
    feature_width: int = 512
    feature_stride: int = 2
    insert_at: int = 5


class BasicBlock(nn.Module):
    """IResNet block: norm, conv, norm, PReLU, strided conv, norm, plus the shortcut; nothing after the sum."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(width_in)
        self.conv1 = nn.Conv2d(width_in, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.prelu = nn.PReLU(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or width_in != width:
            self.downsample = nn.Sequential(
                nn.Conv2d(width_in, width, 1, stride, bias=False),
                nn.BatchNorm2d(width),
            )

    def forward(self, x: Tensor) -> Tensor:
        """(N, width_in, h, w) -> (N, width, h / stride, w / stride)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        residual = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        return self.bn3(self.conv2(residual)) + shortcut


def _stage(width_in: int, width: int, depth: int, stride: int) -> nn.Sequential:
    first = BasicBlock(width_in, width, stride)
    return nn.Sequential(first, *(BasicBlock(width, width, stride=1) for _ in range(depth - 1)))


class FeatureStyleEncoder(nn.Module):
    """Trunk, style heads and feature branch; module names are the official file's."""

    def __init__(self, config: FeatureEncoderConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or FeatureEncoderConfig()
        one, two, three, four = config.widths
        self.conv = nn.Sequential(
            nn.Conv2d(3, config.stem, 3, padding=1, bias=False),
            nn.BatchNorm2d(config.stem),
            nn.PReLU(config.stem),
        )
        self.block_1 = _stage(config.stem, one, config.depths[0], config.strides[0])
        self.block_2 = _stage(one, two, config.depths[1], config.strides[1])
        self.block_3 = _stage(two, three, config.depths[2], config.strides[2])
        self.block_4 = _stage(three, four, config.depths[3], config.strides[3])
        self.content_layer = nn.Sequential(
            nn.BatchNorm2d(three),
            nn.Conv2d(three, config.feature_width, 3, padding=1, bias=False),
            nn.BatchNorm2d(config.feature_width),
            nn.PReLU(config.feature_width),
            nn.Conv2d(config.feature_width, config.feature_width, 3, config.feature_stride, padding=1, bias=False),
            nn.BatchNorm2d(config.feature_width),
        )
        pooled_length = sum(config.widths) * config.pooled**2
        self.styles = nn.ModuleList(nn.Linear(pooled_length, config.style_dim) for _ in range(config.rows))

    def shrink(self, images: Tensor) -> Tensor:
        """The trunk's view of an image: `halvings` bilinear halvings, each the mean of 2x2 pixels."""
        for _ in range(self.config.halvings):
            images = F.avg_pool2d(images, 2)
        return images

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Encode shrunk images.

        Args:
            images: float32 (N, 3, h, w) in [-1, 1], already through `shrink` (256 px in the released network).

        Returns:
            Style codes (N, L, D) without latent_avg, and the feature map (N, feature_width, h/16, w/16) of the released
            network.
        """
        x, maps = self.conv(images), []
        for stage in (self.block_1, self.block_2, self.block_3, self.block_4):
            x = stage(x)
            maps.append(x)
        return self._codes(maps), self.content_layer(maps[2])

    def _codes(self, maps: Sequence[Tensor]) -> Tensor:
        pooled = torch.cat([F.adaptive_avg_pool2d(x, self.config.pooled) for x in maps], dim=1).flatten(1)
        return torch.stack([head(pooled) for head in self.styles], dim=1)
