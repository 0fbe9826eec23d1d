"""ReStyle's encoders: a backbone on (image, reconstruction), style heads on its last feature (restyle card 3)."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn

from methods.nets.irse import IRSE, IRSEConfig
from methods.nets.pyramid import StyleHead, Wiring, wire_heads
from methods.nets.resnet34 import ResNetBody, ResNetConfig


@dataclass(frozen=True)
class RestyleConfig:
    """Sizes of a ReStyle encoder. The default is ReStyle-e4e for faces.

    Attributes:
        irse: The IR-SE backbone (faces), or None.
        resnet: The ResNet backbone (cars), where `irse` is None.
        rows: Heads and rows of the codes.
        style_dim: Length of a row.
        wiring: "deltas" (over e4e) or "rows" (over pSp).
        depth: Strided convolutions of a head: log2 of the last feature's width.
        iterations: Steps of the refinement loop.
    """

    irse: IRSEConfig | None = field(default_factory=lambda: IRSEConfig(in_channels=6))
    resnet: ResNetConfig | None = None
    rows: int = 18
    style_dim: int = 512
    wiring: Wiring = "deltas"
    depth: int = 4
    iterations: int = 5


def _heads(config: RestyleConfig, width: int) -> nn.ModuleList:
    return nn.ModuleList(StyleHead(width, config.style_dim, config.depth) for _ in range(config.rows))


class IRSERestyleEncoder(IRSE):
    """(N, 6, h, w) -> change of the codes, (N, L, D); IR-SE backbone."""

    def __init__(self, config: RestyleConfig) -> None:
        super().__init__(config.irse)
        self.styles, self.wiring = _heads(config, self.irse_config.widths[-1]), config.wiring

    def forward(self, x: Tensor) -> Tensor:
        """One row of a head each, all on the last stage's feature; wired as `wire_heads` says."""
        feature = self.taps(x)[-1]
        return wire_heads([head(feature) for head in self.styles], self.wiring)


class ResNetRestyleEncoder(ResNetBody):
    """(N, 6, h, w) -> change of the codes, (N, L, D); ResNet-34 backbone."""

    def __init__(self, config: RestyleConfig) -> None:
        super().__init__(config.resnet)
        self.styles, self.wiring = _heads(config, self.resnet_config.widths[-1]), config.wiring

    def forward(self, x: Tensor) -> Tensor:
        """One row of a head each, all on the backbone's feature; wired as `wire_heads` says."""
        feature = self.features(x)
        return wire_heads([head(feature) for head in self.styles], self.wiring)


RestyleEncoder = IRSERestyleEncoder | ResNetRestyleEncoder


def restyle_encoder(config: RestyleConfig) -> RestyleEncoder:
    """The encoder of a configuration."""
    return IRSERestyleEncoder(config) if config.irse else ResNetRestyleEncoder(config)
