"""Matching costs of two feature maps: global, mutual, neighbourhood consensus ("flow" card, sections 2-6)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def l2_normalise(features: Tensor) -> Tensor:
    """Features (N, C, ...) over their length along C: f / sqrt(sum f^2 + 1e-6)."""
    return features * torch.rsqrt(features.square().sum(dim=1, keepdim=True) + 1e-6)


def global_correlation(target: Tensor, source: Tensor) -> Tensor:
    """Every target position against every source position.

    Args:
        target: (N, C, ht, wt), source: (N, C, hs, ws); normalise them before (`l2_normalise`).

    Returns:
        (N, hs * ws, ht, wt): the source position, row-major, is the channel.
    """
    products = source.flatten(2).transpose(1, 2) @ target.flatten(2)
    return products.unflatten(2, target.shape[-2:])


def mutual_matching(correlation: Tensor) -> Tensor:
    """Damp matches that are not best both ways.

    Args:
        correlation: (N, 1, hs, ws, ht, wt).

    Returns:
        The same shape: c * (c / best over source) * (c / best over target), each best + 1e-5.
    """
    best_source = correlation.amax(dim=(2, 3), keepdim=True) + 1e-5
    best_target = correlation.amax(dim=(4, 5), keepdim=True) + 1e-5
    return correlation * ((correlation / best_source) * (correlation / best_target))


class Conv4d(nn.Module):
    """A 3x3x3x3 convolution over (source rows, source columns, target rows, target columns), zero padding.

    Weight (3, out, in, 3, 3, 3): axis 0 runs over source rows; correlation (no flip), bias added once.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        spread = (channels_in * 81) ** -0.5
        self.weight = nn.Parameter(torch.empty(3, channels_out, channels_in, 3, 3, 3).uniform_(-spread, spread))
        self.bias = nn.Parameter(torch.empty(channels_out).uniform_(-spread, spread))

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, hs, ws, ht, wt) -> (N, out, hs, ws, ht, wt)."""
        batch, _, source_rows = x.shape[:3]
        # Source rows travel as batch, so that one conv3d call serves them all.
        padded = F.pad(x, (0, 0, 0, 0, 0, 0, 1, 1)).transpose(1, 2)
        total = sum(F.conv3d(padded[:, k : k + source_rows].flatten(0, 1), self.weight[k], padding=1) for k in range(3))
        assert isinstance(total, Tensor)
        return (total + self.bias[:, None, None, None]).unflatten(0, (batch, source_rows)).transpose(1, 2)


class NeighbourhoodConsensus(nn.Module):
    """Three 4-D convolutions with ReLU, run both ways round: N(x) + swap(N(swap(x))), swap = source and target axes."""

    def __init__(self, widths: tuple[int, ...] = (10, 10, 1)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for channels_in, channels_out in zip((1, *widths), widths, strict=False):
            layers += [Conv4d(channels_in, channels_out), nn.ReLU()]
        self.conv = nn.Sequential(*layers)

    def forward(self, correlation: Tensor) -> Tensor:
        """(N, 1, hs, ws, ht, wt) -> the same shape."""
        return self.conv(correlation) + _swap(self.conv(_swap(correlation)))


def _swap(correlation: Tensor) -> Tensor:
    return correlation.permute(0, 1, 4, 5, 2, 3)
