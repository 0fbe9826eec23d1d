"""IR-SE residual networks, one class for every size and use; official tensor names (restyle card 3a, identity card 1).

`IRSE` is the backbone of the pSp family's encoders, `IRSEEmbedder` the identity networks (ArcFace IR-SE-50,
CurricularFace IR-101). What differs is `IRSEConfig`.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class IRSEConfig:
    """Sizes of an IR-SE network. The default is the 3-channel IR-SE-50.

    Attributes:
        in_channels: 3, or 6 where a reconstruction comes along (ReStyle).
        widths: Channels of each stage; the stem has the first.
        units: Residual units of each stage.
        strides: Stride of each stage's first unit (2 in every released network).
        squeeze_excite: Whether units end in squeeze-and-excitation (CurricularFace's IR-101 has none).
        reduction: Channels divided by this inside squeeze-and-excitation.
    """

    in_channels: int = 3
    widths: tuple[int, ...] = (64, 128, 256, 512)
    units: tuple[int, ...] = (3, 4, 14, 3)
    strides: tuple[int, ...] = (2, 2, 2, 2)
    squeeze_excite: bool = True
    reduction: int = 16

    @property
    def taps(self) -> tuple[int, ...]:
        """Index in `body` of the last unit of each stage: (2, 6, 20, 23) for IR-SE-50."""
        ends, total = [], 0
        for count in self.units:
            total += count
            ends.append(total - 1)
        return tuple(ends)


IR_101 = IRSEConfig(units=(3, 13, 30, 3), squeeze_excite=False)


class SqueezeExcite(nn.Module):
    """x (N, C, h, w) times a gate per channel computed from its spatial mean."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // reduction, 1, bias=False)
        self.fc2 = nn.Conv2d(channels // reduction, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) in the shape of `x`; the gate is a sigmoid of the mean through two 1x1 convolutions."""
        gate = self.fc2(F.relu(self.fc1(x.mean((2, 3), keepdim=True))))
        return x * gate.sigmoid()


class Unit(nn.Module):
    """Residual unit: BN, conv, PReLU, strided conv, BN, squeeze-and-excitation; plus shortcut; no activation."""

    def __init__(self, inputs: int, outputs: int, stride: int, config: IRSEConfig) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False),
            nn.PReLU(outputs),
            nn.Conv2d(outputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
        ]
        if config.squeeze_excite:
            layers.append(SqueezeExcite(outputs, config.reduction))
        self.res_layer = nn.Sequential(*layers)
        self.stride = stride
        self.shortcut_layer: nn.Sequential | None = None
        if inputs != outputs:
            self.shortcut_layer = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) -> (N, outputs, h / stride, w / stride)."""
        shortcut = x[..., :: self.stride, :: self.stride] if self.shortcut_layer is None else self.shortcut_layer(x)
        return self.res_layer(x) + shortcut


class IRSE(nn.Module):
    """IR-SE backbone: images (N, C, h, w) in [-1, 1] -> the last feature of every stage.

    `taps(x)` gives c0..c3: for IR-SE-50 at 256 px (N, 64, 128, 128), (N, 128, 64, 64), (N, 256, 32, 32) and
    (N, 512, 16, 16).
    """

    def __init__(self, config: IRSEConfig | None = None) -> None:
        super().__init__()
        config = config or IRSEConfig()
        self.irse_config = config
        stem = config.widths[0]
        self.input_layer = nn.Sequential(
            nn.Conv2d(config.in_channels, stem, 3, 1, 1, bias=False), nn.BatchNorm2d(stem), nn.PReLU(stem)
        )
        units: list[nn.Module] = []
        inputs = stem
        for width, count, stride in zip(config.widths, config.units, config.strides, strict=True):
            for index in range(count):
                units.append(Unit(inputs, width, stride if index == 0 else 1, config))
                inputs = width
        self.body = nn.Sequential(*units)

    def taps(self, x: Tensor, *, last: int | None = None) -> tuple[Tensor, ...]:
        """Stage outputs c0, c1, ... up to stage `last` (all by default)."""
        ends = self.irse_config.taps if last is None else self.irse_config.taps[: last + 1]
        outputs = []
        x = self.input_layer(x)
        for index in range(ends[-1] + 1):
            x = self.body[index](x)
            if index in ends:
                outputs.append(x)
        return tuple(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """The last stage's feature."""
        return self.taps(x)[-1]


class IRSEEmbedder(IRSE):
    """Identity network: images (N, 3, s, s) in [-1, 1] -> unit embeddings (N, embedding) (identity card 1).

    Args:
        config: IRSEConfig() for ArcFace IR-SE-50, IR_101 for CurricularFace.
        size: Image size s (112 in the released networks).
        embedding: Length of the embedding.
        affine: Whether the final BatchNorm has weight and bias (ArcFace yes, CurricularFace no).
    """

    def __init__(
        self, config: IRSEConfig | None = None, *, size: int = 112, embedding: int = 512, affine: bool = True
    ) -> None:
        super().__init__(config)
        for stride in self.irse_config.strides:
            size = -(-size // stride)
        width = self.irse_config.widths[-1]
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(width),
            nn.Dropout(),
            nn.Flatten(),
            nn.Linear(width * size * size, embedding),
            nn.BatchNorm1d(embedding, affine=affine),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, embedding) of length 1: images that show one person have a dot product near 1."""
        embedding = self.output_layer(super().forward(x))
        return embedding / embedding.norm(dim=1, keepdim=True)
