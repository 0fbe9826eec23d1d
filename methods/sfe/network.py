"""What only StyleFeatureEditor has: two mixers of feature maps; its encoder's sizes (sfe card, sections 3 and 4)."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from methods.featurestyle.network import FeatureEncoderConfig, FeatureStyleEncoder


@dataclass(frozen=True)
class SfeConfig:
    """Sizes; the defaults are the released FFHQ network.

    Attributes:
        encoder: FeatureStyle's, but that the third stage and the feature branch keep the resolution.
        seen: Side of the image that both encoders see.
        width: Channels of the feature map.
        depth: Residual blocks of a mixer.
        insert_at: The generator layer whose input the feature map replaces (9: the 128 px up-convolution).
    """

    encoder: FeatureEncoderConfig = field(
        default_factory=lambda: FeatureEncoderConfig(halvings=0, strides=(2, 2, 1, 2), feature_stride=1)
    )
    seen: int = 256
    width: int = 512
    depth: int = 5
    insert_at: int = 9


class MixerBlock(nn.Module):
    """x + BN, conv, BN, PReLU, conv, BN; nothing after the sum."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(width),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.PReLU(width),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> the same shape."""
        return x + self.body(x)


class Mixer(nn.Module):
    """Two maps (N, C, h, w) -> one. The fuser takes the encoder's and the generator's, the editor the fused and Δ."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2 * width, width, 1)
        self.body = nn.Sequential(*(MixerBlock(width) for _ in range(depth)))

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """(N, C, h, w) of the two maps one on top of the other, through a convolution and the blocks."""
        return self.body(self.conv(torch.cat([first, second], 1)))


class Inverter(nn.Module):
    """Encoder and fuser, named as in the released file."""

    def __init__(self, config: SfeConfig) -> None:
        super().__init__()
        self.fs_backbone = FeatureStyleEncoder(config.encoder)
        self.fuser = Mixer(config.width, config.depth)
