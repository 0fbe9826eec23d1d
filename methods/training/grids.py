"""Sample grids of a training: rows of images under one another."""

from __future__ import annotations

import torch
from torch import Tensor


def grid(*rows: Tensor) -> Tensor:
    """One image, float (3, R H, N W) in [0, 1] on the CPU, of R rows of N images (N, 3, H, W) in [-1, 1]."""
    lines = [torch.cat(list(row.detach().float().cpu()), 2) for row in rows]
    return (torch.cat(lines, 1).clamp(-1, 1) + 1) / 2
