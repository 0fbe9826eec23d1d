"""WarpC-SemanticGLU-Net's flow head: what differs from GLU-Net ("flow" card, section 5)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.nets.flow.correlation import (
    NeighbourhoodConsensus,
    global_correlation,
    l2_normalise,
    mutual_matching,
)
from methods.nets.flow.decoders import DenseDecoder, MappingDecoder
from methods.nets.flow.glunet import FlowConfig, FlowHead, Maps


class SemanticFlowHead(FlowHead):
    """Hypercolumn features at the two coarse levels, neighbourhood consensus, dense decoders."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__(config)
        self.NeighConsensus = NeighbourhoodConsensus()

    def _top_decoder(self, channels: int) -> nn.Module:
        return MappingDecoder(channels, self.config.decoder_widths)

    def _decoder(self, channels: int) -> DenseDecoder:  # type: ignore[override]
        return DenseDecoder(channels, self.config.decoder_widths)

    def match(self, target: Tensor, source: Tensor) -> Tensor:
        """Global costs of coarse maps, each beside its own half-size copy: (N, n^2 source positions, n, n)."""
        target, source = (torch.cat((map_, _resize(_halve(map_), map_)), dim=1) for map_ in (target, source))
        costs = global_correlation(l2_normalise(target), l2_normalise(source))
        return consensus_chain(costs, (source.shape[2], source.shape[3]), self.NeighConsensus)

    def middle_maps(self, maps: Maps) -> Tensor:
        """Middle, coarse and half-coarse maps at 2n cells: (N, C1 + 2 * C0, 2n, 2n)."""
        return torch.cat(
            (maps.middle, _resize(maps.coarse, maps.middle), _resize(_halve(maps.coarse), maps.middle)), dim=1
        )

    def _size_ratio(self, middle: Tensor) -> float:
        # This network reads both sides; the smaller one decides how far the coarse flow is from the full image.
        return min(middle.shape[2:]) * self.config.middle_stride / self.config.picture


def consensus_chain(costs: Tensor, source_size: tuple[int, int], consensus: nn.Module) -> Tensor:
    """Mutual matching, consensus, mutual matching, ReLU, unit length: (N, hs * ws, ht, wt) -> the same shape."""
    six = costs.unflatten(1, source_size)[:, None]
    six = mutual_matching(consensus(mutual_matching(six)))
    return l2_normalise(F.relu(six[:, 0].flatten(1, 2)))


def _halve(map_: Tensor) -> Tensor:
    return F.interpolate(map_, size=(map_.shape[2] // 2, map_.shape[3] // 2), mode="bilinear", align_corners=False)


def _resize(map_: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(map_, size=like.shape[-2:], mode="bilinear", align_corners=False)
