"""What only StyleTransformer has: learned queries that read the backbone's pyramid through three transformer layers.

Facts: style_transformer card, section 1. No positional encoding, no mask, no style heads; the codes are the tokens that
leave the last layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes of the token path; the defaults are the released faces network.

    Attributes:
        tokens: Learned query tokens (18 faces, 16 cars): the rows of the codes.
        width: Token length; equals the pyramid's width and the style length D.
        heads: Attention heads.
        feedforward: Hidden width of each layer's feed-forward part.
        dropout: Used in training only.
    """

    tokens: int = 18
    width: int = 512
    heads: int = 4
    feedforward: int = 1024
    dropout: float = 0.1


def memory(features: Tensor) -> Tensor:
    """Tokens (N, h * w, C) of a feature map (N, C, h, w), row-major."""
    return features.flatten(2).transpose(1, 2)


class TokenDecoder(nn.Module):
    """Queries z and the coarse, medium and fine layers (post-norm decoder layers: self-attention, cross-attention, MLP)."""

    def __init__(self, config: TransformerConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or TransformerConfig()
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
