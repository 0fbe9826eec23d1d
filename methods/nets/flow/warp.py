"""What a flow is, and how it moves things ("flow" card, section 2).

A flow (N, 2, h, w) lives on the TARGET grid and points to the SOURCE: source position = target position + flow.
Channel 0 is x (right positive), channel 1 is y (down positive). `warp` takes it in cells of the warped map; networks
speak in pixels of the image, and `scale_flow` goes between the two.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def full_precision(x: Tensor) -> Tensor:
    """x as float32 where it is float16 or bfloat16 (autocast), else x: flows keep their precision."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def pixel_grid(like: Tensor) -> Tensor:
    """Positions (2, h, w) of the cells of `like` (..., h, w): x in channel 0, y in channel 1, same device and dtype."""
    height, width = like.shape[-2:]
    y = torch.arange(height, device=like.device, dtype=like.dtype)
    x = torch.arange(width, device=like.device, dtype=like.dtype)
    return torch.stack((x.expand(height, width), y[:, None].expand(height, width)))


def warp(features: Tensor, flow: Tensor) -> Tensor:
    """Move features along a flow: out[p] = features[p + flow[p]], bilinear, zero outside.

    Args:
        features: (N, C, h, w).
        flow: (N, 2, h, w), in cells of this very grid.

    Returns:
        (N, C, h, w). Zero flow gives the input back (up to 5e-7); flow x = +1 gives the right-hand neighbour and an
        empty last column.
    """
    height, width = features.shape[-2:]
    flow = full_precision(flow)
    position = pixel_grid(flow) + flow
    normalised = 2.0 * position.permute(0, 2, 3, 1) / _span(position, max(width - 1, 1), max(height - 1, 1)) - 1.0
    # Positions in half precision would be off by a tenth of a cell.
    moved = F.grid_sample(features.to(normalised.dtype), normalised, mode="bilinear", align_corners=True)
    return moved.to(features.dtype)


def scale_flow(flow: Tensor, x: float, y: float) -> Tensor:
    """Flow (N, 2, h, w) with its x channel times `x` and its y channel times `y`."""
    return flow * (x if x == y else flow.new_tensor((x, y))[:, None, None])


def _span(like: Tensor, x: float, y: float) -> Tensor | float:
    """x and y as a last axis, or one number where they are equal: a new tensor would make a GPU wait for the host."""
    return x if x == y else like.new_tensor((x, y))


def resize_flow(flow: Tensor, size: tuple[int, int]) -> Tensor:
    """Flow (N, 2, h, w) resampled to `size` (bilinear, align_corners=False); its units stay what they are."""
    if flow.shape[-2:] == size:
        return flow
    return F.interpolate(flow, size=size, mode="bilinear", align_corners=False)


def mapping_to_flow(mapping: Tensor) -> Tensor:
    """Absolute positions (N, 2, h, w) normalised to [-1, 1] as a flow in cells of the same grid."""
    height, width = mapping.shape[-2:]
    return scale_flow(mapping + 1.0, (width - 1) / 2, (height - 1) / 2) - pixel_grid(mapping)


def bilinear_kernel(size: int = 4) -> Tensor:
    """The (size, size) kernel with which a stride-2 transposed convolution up-samples bilinearly."""
    centre = (size - 1) / 2
    line = [1 - abs(at - centre) / (size / 2) for at in range(size)]
    # Made of numbers and on the CPU: the same on the meta device, where networks are built before they are loaded,
    # would first import five seconds of torch's decompositions.
    return torch.tensor([[x * y for x in line] for y in line], dtype=torch.float32, device="cpu")
