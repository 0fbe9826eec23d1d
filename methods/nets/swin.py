"""Swin Transformer V2 as an image backbone, official tensor names (goae card, section 3)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_MOST_SCALE = math.log(100.0)


@dataclass(frozen=True)
class SwinConfig:
    """Sizes; the defaults are the released "base" at 256 px.

    Attributes:
        size: Side of the image.
        patch: Side of a patch, one token each.
        width: Channels of the first stage; each further stage has twice as many.
        depths, heads: Blocks and heads of the stages.
        window: Tokens a side that see each other.
        trained: The windows it was first trained with, by which offsets are measured.
    """

    size: int = 256
    patch: int = 4
    width: int = 128
    depths: tuple[int, ...] = (2, 2, 18, 2)
    heads: tuple[int, ...] = (4, 8, 16, 32)
    window: int = 16
    trained: tuple[int, ...] = (12, 12, 12, 6)


class WindowAttention(nn.Module):
    """Attention inside windows by cosine, with a bias learned from log-spaced offsets."""

    offsets: Tensor
    pairs: Tensor

    def __init__(self, width: int, heads: int, window: int, trained: int) -> None:
        super().__init__()
        self.heads = heads
        self.logit_scale = nn.Parameter(torch.zeros(heads, 1, 1))
        self.q_bias, self.v_bias = nn.Parameter(torch.zeros(width)), nn.Parameter(torch.zeros(width))
        self.cpb_mlp = nn.Sequential(nn.Linear(2, 512), nn.ReLU(), nn.Linear(512, heads, bias=False))
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.proj = nn.Linear(width, width)
        self.window, self.trained = window, trained

    def _bias(self) -> Tensor:
        """(heads, T, T), row axis first."""
        side, like = self.window, self.logit_scale
        steps = torch.arange(-(side - 1), side, device=like.device, dtype=like.dtype)
        table = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), 2) / (self.trained - 1) * 8
        table = table.sign() * torch.log2(table.abs() + 1) / 3
        bias = 16 * torch.sigmoid(self.cpb_mlp(table.flatten(0, 1)))
        places = torch.cartesian_prod(*(torch.arange(side, device=like.device),) * 2)
        between = places[:, None] - places[None] + side - 1
        return bias[between[..., 0] * (2 * side - 1) + between[..., 1]].permute(2, 0, 1)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Tokens (B, T, C), T a window -> (B, T, C).

        Args:
            mask: (windows, T, T), added to the scores; -100 between tokens that must not see each other. None: all do.
        """
        shape = x.shape
        bias = torch.cat([self.q_bias, torch.zeros_like(self.v_bias), self.v_bias])
        q, k, v = F.linear(x, self.qkv.weight, bias).view(*shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        scale = self.logit_scale.clamp(max=_MOST_SCALE).exp()
        scores = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1) * scale + self._bias()
        if mask is not None:
            windows = len(mask)
            scores = (scores.view(-1, windows, *scores.shape[1:]) + mask[None, :, None]).flatten(0, 1)
        return self.proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(shape))


class Mlp(nn.Module):
    def __init__(self, width: int, ratio: int = 4) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, ratio * width), nn.Linear(ratio * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (N, T, C) -> (N, T, C), each by itself."""
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    """Attention and MLP, each normed after it ran; tokens (N, side * side, C)."""

    def __init__(self, width: int, heads: int, side: int, window: int, trained: int, *, shifted: bool) -> None:
        super().__init__()
        self.side, self.window = side, min(window, side)
        # Where one window covers the grid there is nothing to shift.
        self.shift = window // 2 if shifted and side > window else 0
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = WindowAttention(width, heads, self.window, trained)
        self.mlp = Mlp(width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, side * side, C) -> the same; a shifted block rolls the grid by half a window and back."""
        x = x + self.norm1(self._attended(x))
        return x + self.norm2(self.mlp(x))

    def _attended(self, x: Tensor) -> Tensor:
        count, _, channels = x.shape
        grid = x.view(count, self.side, self.side, channels)
        if self.shift:
            grid = grid.roll((-self.shift, -self.shift), (1, 2))
        windows = _windows(grid, self.window)
        windows = self.attn(windows, self._mask(x) if self.shift else None)
        grid = _grid(windows, self.window, self.side)
        if self.shift:
            grid = grid.roll((self.shift, self.shift), (1, 2))
        return grid.reshape(x.shape)

    def _mask(self, like: Tensor) -> Tensor:
        """(windows, T, T): -100 between tokens that were no neighbours before the roll."""
        regions = torch.zeros(self.side, dtype=like.dtype, device=like.device)
        regions[-self.window :] = 1
        regions[-self.shift :] = 2
        named = _windows((3 * regions[:, None] + regions[None])[None, :, :, None], self.window)[..., 0]
        return torch.where(named[:, None] == named[:, :, None], 0.0, -100.0)


def _windows(grid: Tensor, window: int) -> Tensor:
    """(N, s, s, C) -> (N * windows, window * window, C)."""
    count, side, _, channels = grid.shape
    parts = grid.view(count, side // window, window, side // window, window, channels)
    return parts.permute(0, 1, 3, 2, 4, 5).reshape(-1, window * window, channels)


def _grid(windows: Tensor, window: int, side: int) -> Tensor:
    """The way back of `_windows`."""
    number = side // window
    parts = windows.view(-1, number, number, window, window, windows.shape[-1])
    return parts.permute(0, 1, 3, 2, 4, 5).reshape(-1, side, side, windows.shape[-1])


class Downsample(nn.Module):
    """Four neighbouring tokens become one of twice the width; the norm comes after."""

    def __init__(self, width: int, side: int) -> None:
        super().__init__()
        self.side = side
        self.reduction, self.norm = nn.Linear(4 * width, 2 * width, bias=False), nn.LayerNorm(2 * width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, side * side, C) -> (N, side * side / 4, 2C)."""
        grid = x.view(len(x), self.side, self.side, -1)
        corners = [grid[:, row::2, column::2] for row, column in ((0, 0), (1, 0), (0, 1), (1, 1))]
        return self.norm(self.reduction(torch.cat(corners, -1).flatten(1, 2)))


class Stage(nn.Module):
    def __init__(self, config: SwinConfig, number: int) -> None:
        super().__init__()
        width, side = config.width << number, config.size // config.patch >> number
        self.blocks = nn.ModuleList(
            Block(width, config.heads[number], side, config.window, config.trained[number], shifted=index % 2 == 1)
            for index in range(config.depths[number])
        )
        self.downsample = Downsample(width, side) if number + 1 < len(config.depths) else None

    def forward(self, x: Tensor) -> Tensor:
        """Tokens (N, T, C) -> (N, T / 4, 2C), or (N, T, C) from the last stage, which does not halve."""
        for block in self.blocks:
            x = block(x)
        return x if self.downsample is None else self.downsample(x)


class PatchEmbed(nn.Module):
    def __init__(self, config: SwinConfig) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, config.width, config.patch, config.patch)
        self.norm = nn.LayerNorm(config.width)

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, 3, size, size) -> one token a patch, row-major: (N, (size / patch)^2, width)."""
        return self.norm(self.proj(images).flatten(2).transpose(1, 2))


class SwinV2(nn.Module):
    """The backbone."""

    def __init__(self, config: SwinConfig | None = None) -> None:
        super().__init__()
        config = config or SwinConfig()
        self.patch_embed = PatchEmbed(config)
        self.layers = nn.ModuleList(Stage(config, number) for number in range(len(config.depths)))
        self.norm = nn.LayerNorm(config.width << (len(config.depths) - 1))

    def taps(self, images: Tensor) -> list[Tensor]:
        """Tokens (N, T, C) that go into each stage, fine to coarse, and the normed ones that leave the last."""
        x, found = self.patch_embed(images), []
        for stage in self.layers:
            found.append(x)
            x = stage(x)
        return [*found, self.norm(x)]
