"""Matching costs of each position with its neighbours, in tiles by matrix products ("flow" card, sections 2-6)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional as F

_CACHED = 1 << 18  # numbers: a megabyte in float32, half of a core's second-level cache


def local_correlation(target: Tensor, source: Tensor, radius: int = 4) -> Tensor:
    """Each target position against its (2 * radius + 1)^2 neighbours in the (warped) source, zero outside, mean over C.

    Channel k = (dy + radius) * (2 * radius + 1) + (dx + radius) compares target (y, x) with source (y + dy, x + dx).
    Tiles of 2r x 2r target positions meet their 4r x 4r source windows in one matrix product, and the wanted products
    are read off its diagonals: three times the arithmetic of the plain formula, at the speed of a matrix product,
    forwards and backwards. On a CPU a few images are looked at at a time: products of them all would not fit its cache.

    Args:
        target: (N, C, h, w), source: (N, C, h, w).

    Returns:
        (N, (2 * radius + 1)^2, h, w), in the memory order of `target`; differentiable once.
    """
    costs: Tensor = _LocalCorrelation.apply(target, source, radius)
    return costs.contiguous(memory_format=torch.channels_last if channels_last(target) else torch.contiguous_format)


def channels_last(x: Tensor) -> bool:
    """Whether x (N, C, h, w) lies in memory pixel by pixel."""
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


class _LocalCorrelation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, target: Tensor, source: Tensor, radius: int) -> Tensor:
        channels, height, width = target.shape[1:]
        cut = _Cut(2 * radius, -(-height // (2 * radius)), -(-width // (2 * radius)))
        tiles, windows = cut.tiles(target), cut.windows(source)
        made = []
        for rows in cut.shares(target):
            made.append(cut.read(tiles[rows].flatten(0, 1) @ windows[rows].flatten(0, 1).transpose(1, 2)))
        ctx.save_for_backward(tiles, windows)
        ctx.cut, ctx.shape = cut, target.shape  # type: ignore[attr-defined]
        costs = (made[0] if len(made) == 1 else torch.cat(made)).div_(channels)
        return costs[:, :height, :width].permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        tiles, windows = ctx.saved_tensors  # type: ignore[attr-defined]
        cut: _Cut = ctx.cut  # type: ignore[attr-defined]
        count, channels, height, width = ctx.shape  # type: ignore[attr-defined]
        costs = tiles.new_zeros(count, cut.rows * cut.tile, cut.columns * cut.tile, (cut.tile + 1) ** 2)
        torch.div(gradient.permute(0, 2, 3, 1), channels, out=costs[:, :height, :width])
        of_tiles, of_windows = torch.empty_like(tiles), torch.empty_like(windows)
        products: Tensor | None = None
        for rows in cut.shares(gradient):
            part = costs[rows]
            if products is None or len(products) != len(part) * cut.rows * cut.columns:
                # Between the diagonals it stays zero.
                products = tiles.new_zeros(len(part) * cut.rows * cut.columns, cut.tile**2, (2 * cut.tile) ** 2)
            cut.write(part, products)
            torch.bmm(products, windows[rows].flatten(0, 1), out=of_tiles[rows].flatten(0, 1))
            torch.bmm(products.transpose(1, 2), tiles[rows].flatten(0, 1), out=of_windows[rows].flatten(0, 1))
        return cut.joined(of_tiles, height, width), cut.gathered(of_windows, height, width), None


class _Cut(NamedTuple):
    """How maps are cut: into `rows` x `columns` tiles of `tile` cells a side, with windows of twice the side around."""

    tile: int
    rows: int
    columns: int

    def shares(self, like: Tensor) -> Iterator[slice]:
        """Of a batch so many images at a time as their products fit into a cache; all of them off the CPU."""
        size = len(like)
        if like.device.type == "cpu":
            size = max(1, _CACHED // (self.rows * self.columns * 4 * self.tile**4))
        for first in range(0, len(like), size):
            yield slice(first, first + size)

    def tiles(self, features: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, rows * columns, tile^2, C), zero beyond the map."""
        height, width = features.shape[2:]
        spare = (self.columns * self.tile - width, self.rows * self.tile - height)
        around = F.pad(features.permute(0, 2, 3, 1), (0, 0, 0, spare[0], 0, spare[1]))
        cut = around.unflatten(2, (self.columns, self.tile)).unflatten(1, (self.rows, self.tile))
        return cut.transpose(2, 3).reshape(len(features), self.rows * self.columns, self.tile**2, -1)

    def joined(self, tiles: Tensor, height: int, width: int) -> Tensor:
        """The other way round: (N, C, h, w)."""
        cut = tiles.unflatten(2, (self.tile, self.tile)).unflatten(1, (self.rows, self.columns)).transpose(2, 3)
        return cut.flatten(3, 4).flatten(1, 2)[:, :height, :width].permute(0, 3, 1, 2)

    def windows(self, features: Tensor) -> Tensor:
        """(N, C, h, w) -> (N, rows * columns, (2 tile)^2, C): what lies within half a tile of each tile."""
        height, width = features.shape[2:]
        half = self.tile // 2
        spare = (self.columns * self.tile - width, self.rows * self.tile - height)
        around = F.pad(features.permute(0, 2, 3, 1), (0, 0, half, half + spare[0], half, half + spare[1]))
        looks = around.unfold(1, 2 * self.tile, self.tile).unfold(2, 2 * self.tile, self.tile)
        return looks.permute(0, 1, 2, 4, 5, 3).reshape(len(features), self.rows * self.columns, 4 * self.tile**2, -1)

    def gathered(self, windows: Tensor, height: int, width: int) -> Tensor:
        """(N, C, h, w): at each cell the sum over the windows that hold it."""
        count, channels, tile, half = len(windows), windows.shape[3], self.tile, self.tile // 2
        quarters = windows.view(count, self.rows, self.columns, 2, tile, 2, tile, channels)
        around = windows.new_zeros(count, self.rows + 1, tile, self.columns + 1, tile, channels)
        for down in range(2):
            for right in range(2):
                there = around[:, down : down + self.rows, :, right : right + self.columns]
                there += quarters[:, :, :, down, :, right].transpose(2, 3)
        found = around.view(count, (self.rows + 1) * tile, (self.columns + 1) * tile, channels)
        return found[:, half : half + height, half : half + width].permute(0, 3, 1, 2)

    def read(self, products: Tensor) -> Tensor:
        """Products (n * rows * columns, tile^2, (2 tile)^2) of tiles and windows -> costs
        (n, rows * tile, columns * tile, (tile + 1)^2).
        """
        count = len(products) // (self.rows * self.columns)
        looks = self._looks(products.contiguous(), count).transpose(2, 3)
        return looks.reshape(count, self.rows * self.tile, self.columns * self.tile, (self.tile + 1) ** 2)

    def write(self, costs: Tensor, products: Tensor) -> None:
        """The other way round, into products that are zero elsewhere."""
        cut = costs.view(len(costs), self.rows, self.tile, self.columns, self.tile, self.tile + 1, self.tile + 1)
        self._looks(products, len(costs)).copy_(cut.transpose(2, 3))

    def _looks(self, products: Tensor, count: int) -> Tensor:
        """A view (n, rows, columns, tile, tile, tile + 1, tile + 1) of products that lie in memory in their order."""
        tile, window, side = self.tile, 2 * self.tile, self.tile + 1
        area, cells = tile**2 * window**2, window**2
        tiles = (self.rows * self.columns * area, self.columns * area, area)
        # Position (y, x) of a tile looks at window cell (y + dy, x + dx): walking y or x moves both axes at once.
        looks = (tile * cells + window, cells + 1, window, 1)
        return products.as_strided((count, self.rows, self.columns, tile, tile, side, side), (*tiles, *looks))
