"""WarpC-GLU-Net's flow head: feature pyramids of two images in, four flows out ("flow" card, section 4).

The head never sees an image: it takes maps at three sizes (n, 2n, 4n cells a side), from VGG16 (`FlowNet`) or from a
generator through adapters (WarpRes). Its sizes come from `FlowConfig`, so that the released network (n = 16, 256-px
images) and a small one (n = 8, 64-px images) are one class.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.nets.flow.correlation import global_correlation, l2_normalise, mutual_matching
from methods.nets.flow.decoders import (
    REFINE_WIDTHS,
    WIDTHS,
    ResidualDecoder,
    add_refinement,
    leaky,
    refine,
    upsampler,
)
from methods.nets.flow.local_correlation import local_correlation
from methods.nets.flow.warp import full_precision, mapping_to_flow, resize_flow, scale_flow, warp

FlowKind = Literal["warpc_glunet", "warpc_semantic_glunet"]


@dataclass(frozen=True)
class FlowConfig:
    """Sizes of a flow head.

    Attributes:
        kind: Which published head.
        picture: Side of the square image whose pixels are the flow's unit.
        grid: n, cells a side of the coarsest map; the others have 2n and 4n.
        channels: Of the coarse, middle and fine map.
        radius: Of the local correlations.
        decoder_widths: Of the five convolutions of each decoder.
        refine_widths: Of the six dilated convolutions of each refinement.
    """

    kind: FlowKind = "warpc_glunet"
    picture: int = 256
    grid: int = 16
    channels: tuple[int, int, int] = (512, 256, 128)
    radius: int = 4
    decoder_widths: tuple[int, ...] = WIDTHS
    refine_widths: tuple[int, ...] = REFINE_WIDTHS

    @property
    def middle_stride(self) -> int:
        """Pixels a cell of the middle map (8 in the released networks)."""
        return self.picture // (2 * self.grid)

    @property
    def fine_stride(self) -> int:
        """Pixels a cell of the fine map (4 in the released networks)."""
        return self.picture // (4 * self.grid)


class Maps(NamedTuple):
    """Feature maps of one image: coarse (N, C0, n, n), middle (N, C1, 2n, 2n), fine (N, C2, 4n, 4n)."""

    coarse: Tensor
    middle: Tensor
    fine: Tensor


class Flows(NamedTuple):
    """Flows from coarse to fine, each (N, 2, h, w) in pixels; `flow1` is the result.

    `flow4` (n cells) and `flow3` (2n) belong to the small square image, `flow2` (2n) and `flow1` (4n) to the full
    one. As in the released network, flow3 is expressed in pixels of the full image.
    """

    flow4: Tensor
    flow3: Tensor
    flow2: Tensor
    flow1: Tensor


class FlowHead(nn.Module):
    """Coarse-to-fine flow from given feature maps. Tensor names: the released file's, without its `pyramid.*`."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.config = config
        costs = (2 * config.radius + 1) ** 2
        self.decoder4 = self._top_decoder(config.grid**2 + 2)
        self.deconv4 = upsampler(2)
        self.decoder3 = self._decoder(costs + 2)
        add_refinement(self, "dc_conv", self.decoder3.features, config.refine_widths)
        self.decoder2 = self._decoder(costs + 2)
        self.deconv2 = upsampler(2)
        self.upfeat2 = nn.ConvTranspose2d(self.decoder2.features, 2, 4, stride=2, padding=1)
        self.decoder1 = self._decoder(costs + 4)
        add_refinement(self, "l_dc_conv", self.decoder1.features, config.refine_widths)

    def _top_decoder(self, channels: int) -> nn.Module:
        return ResidualDecoder(channels, head="final", widths=self.config.decoder_widths)

    def _decoder(self, channels: int) -> ResidualDecoder:
        return ResidualDecoder(channels, widths=self.config.decoder_widths)

    def match(self, target: Tensor, source: Tensor) -> Tensor:
        """Global costs of coarse maps (N, C, n, n): (N, n^2 source positions, n, n), unit length over the sources."""
        costs = global_correlation(l2_normalise(target), l2_normalise(source))
        six = costs.unflatten(1, source.shape[-2:])[:, None]  # (N, 1, hs, ws, ht, wt)
        costs = mutual_matching(six).flatten(2, 3)[:, 0]
        return l2_normalise(F.relu(costs))

    def middle_maps(self, maps: Maps) -> Tensor:
        """The map that the first local matching, at 2n cells, looks at."""
        return maps.middle

    def forward(self, target: Maps, source: Maps, full: tuple[Maps, Maps] | None = None) -> Flows:
        """Flow on the target grid, pointing to the source ("flow" card, section 2).

        Args:
            target, source: Maps of the small square images.
            full: Target and source maps of the images at their own size, when that is another; their middle and fine
                maps have one cell for each `middle_stride` and `fine_stride` pixels.

        Returns:
            `Flows`; flow1 has one vector a cell of the fine map.
        """
        flow4, flow3 = self.coarse(target, source)
        full_target, full_source = full if full is not None else (target, source)
        stride = self.config.middle_stride
        height, width = (stride * cells for cells in full_target.middle.shape[-2:])
        flow3 = scale_flow(flow3, width / self.config.picture, height / self.config.picture)
        flow2, flow1 = self.fine(flow3, full_target, full_source)
        return Flows(flow4, flow3, flow2, flow1)

    def coarse(self, target: Maps, source: Maps) -> tuple[Tensor, Tensor]:
        """Flows at n and 2n cells, in pixels of the small image."""
        costs = self.match(target.coarse, source.coarse)
        empty = torch.zeros_like(costs[:, :2])
        _, mapping = self.decoder4(torch.cat((costs, empty), dim=1))
        flow4 = mapping_to_flow(full_precision(mapping)) * (self.config.picture / self.config.grid)
        up4 = self._double(self.deconv4, flow4)
        features, step = self._step(
            self.decoder3, up4, self.middle_maps(target), self.middle_maps(source), self.config.middle_stride
        )
        return flow4, up4 + step + full_precision(refine(self, "dc_conv", features))

    def fine(self, flow3: Tensor, target: Maps, source: Maps) -> tuple[Tensor, Tensor]:
        """Flows at 2n and 4n cells (a cell every middle and fine stride), in pixels of the full image."""
        stride = self.config.middle_stride
        flow3 = self._extra_passes(flow3, target.middle, source.middle)
        up3 = resize_flow(flow3, (target.middle.shape[2], target.middle.shape[3]))
        features, step = self._step(self.decoder2, up3, target.middle, source.middle, stride)
        flow2 = up3 + step
        up2 = self._double(self.deconv2, flow2)
        hints = torch.cat((up2, self.upfeat2(features)), dim=1)
        features, step = self._step(self.decoder1, up2, target.fine, source.fine, self.config.fine_stride, hints=hints)
        return flow2, up2 + step + full_precision(refine(self, "l_dc_conv", features))

    def _step(
        self,
        decoder: nn.Module,
        flow: Tensor,
        target: Tensor,
        source: Tensor,
        stride: float,
        hints: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Warp the source along `flow` (pixels), compare locally, decode: features and an addition to the flow."""
        costs = leaky(local_correlation(target, warp(source, flow / stride), self.config.radius))
        features, step = decoder(torch.cat((costs, flow if hints is None else hints), dim=1))
        return features, full_precision(step)

    @staticmethod
    def _double(layer: nn.Module, flow: Tensor) -> Tensor:
        with torch.autocast(flow.device.type, enabled=False):
            return layer(flow)

    def _extra_passes(self, flow: Tensor, target: Tensor, source: Tensor) -> Tensor:
        """Between the small and a very large image the released networks double the size step by step."""
        ratio = self._size_ratio(target)
        passes = max(0, round(math.log2(ratio / 3))) if ratio > 3 else 0
        for k in range(passes, 0, -1):
            size = (target.shape[2] // 2**k, target.shape[3] // 2**k)
            small_target, small_source = (F.interpolate(map_, size=size, mode="area") for map_ in (target, source))
            up = resize_flow(flow, size)
            _, step = self._step(self.decoder2, up, small_target, small_source, self.config.middle_stride * 2**k)
            flow = up + step
        return flow

    def _size_ratio(self, middle: Tensor) -> float:
        # The released GLU-Net reads the width only.
        return middle.shape[3] * self.config.middle_stride / self.config.picture
