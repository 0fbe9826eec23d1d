"""What only StyleTransformer has: learned queries that read the backbone's pyramid through three transformer layers.

Facts: style_transformer card, section 1. No positional encoding, no mask, no style heads; the codes are the tokens that
leave the last layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from methods.nets.irse import IRSE, IRSEConfig
from methods.nets.pyramid import Encoded, upsample_add


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes of the token path; the defaults are the released faces network.

    Attributes:
        backbone: The IR-SE network; its last three stages make the pyramid, its last width is the tokens' length.
        tokens: n, learned query tokens (18 faces, 16 cars): the rows of the codes.
        heads: Attention heads.
        feedforward: Hidden width of each layer's feed-forward part.
        dropout: Used in training only.
    """

    backbone: IRSEConfig = field(default_factory=IRSEConfig)
    tokens: int = 18
    heads: int = 4
    feedforward: int = 1024
    dropout: float = 0.1

    @property
    def width(self) -> int:
        """C, length of a token; equals the style length D."""
        return self.backbone.widths[-1]


def memory(features: Tensor) -> Tensor:
    """Tokens (N, h * w, C) of a feature map (N, C, h, w), row-major."""
    return features.flatten(2).transpose(1, 2)


class TokenDecoder(nn.Module):
    """Queries z and three post-norm decoder layers, coarse to fine: self-attention, cross-attention, feed-forward."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.z = nn.Parameter(torch.randn(1, config.tokens, config.width))
        self.coarse, self.medium, self.fine = (
            nn.TransformerDecoderLayer(
                config.width, config.heads, config.feedforward, config.dropout, activation="relu", batch_first=True
            )
            for _ in range(3)
        )

    def forward(self, query: Tensor, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Let the queries read the pyramid from coarse to fine.

        Args:
            query: (1 or N, n, C): z through the generator's mapping network.
            maps: c3, p2 and p1 of the pyramid, each (N, C, h, w) float32.

        Returns:
            The tokens (N, n, C) after each layer; the last are the codes without latent_avg.
        """
        c3, p2, p1 = maps
        first = self.coarse(query.expand(len(c3), -1, -1), memory(c3))
        second = self.medium(first, memory(p2))
        return first, second, self.fine(second, memory(p1))


class StyleTransformerEncoder(IRSE):
    """Backbone, pyramid and tokens: images (N, 3, h, w) in [-1, 1] -> codes without latent_avg."""

    def __init__(self, config: TransformerConfig | None = None) -> None:
        config = config or TransformerConfig()
        super().__init__(config.backbone)
        self.config = config
        fine, middle, width = config.backbone.widths[-3:]
        self.latlayer1 = nn.Conv2d(middle, width, 1)
        self.latlayer2 = nn.Conv2d(fine, width, 1)
        self.tokens = TokenDecoder(config)

    def encode(self, images: Tensor, query: Tensor) -> Encoded:
        """Codes (N, n, D) without latent_avg, a row a token, and taps.

        Args:
            images: float32 (N, 3, h, w) in [-1, 1].
            query: (1 or N, n, D), the tokens z through a generator's mapping network (`queries`).
        """
        taps = self.taps(images)
        return Encoded(self.tokens(query, self.pyramid(taps))[-1], taps)

    def pyramid(self, taps: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """c3, p2 and p1, (N, D, h, w) each, of the backbone's taps."""
        c1, c2, c3 = taps[-3:]
        p2 = upsample_add(c3, self.latlayer1(c2))
        return c3, p2, upsample_add(p2, self.latlayer2(c1))


def queries(z: Tensor, mapping: Callable[[Tensor], Tensor]) -> Tensor:
    """Queries (1, n, D) of tokens z (1, n, D): each goes alone through `mapping`, (n, D) -> (n, D)."""
    return mapping(z[0])[None]
