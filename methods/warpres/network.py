"""WarpRes: the StyleRes pipeline with a flow between E_1 and E_2 ("warpres" card, sections 1-3).

The flow goes from the edited to the unedited image. Its head compares feature maps of the two: the generator's own
maps through adapters (`flow_source: features`, the method) or an image pyramid's maps of the two images without
residuals (`flow_source: pictures`, the ablation row "Pretrained flow").
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from bench.core.contract import announce, stage
from methods.nets.flow.glunet import FlowConfig, Maps
from methods.nets.flow.network import build_head, normalise
from methods.nets.flow.vgg_pyramid import Pyramid, PyramidConfig
from methods.nets.flow.warp import resize_flow, warp
from methods.nets.stylegan2 import Synthesis
from methods.styleres.network import ResidualConfig
from methods.styleres.pipeline import Prefix, Prepared, StyleRes, StyleResConfig


@dataclass(frozen=True)
class WarpResConfig(StyleResConfig):
    """What a WarpRes is made of; the default is the paper's faces and cars network.

    Attributes:
        flow: The flow head. Its finest map has `feature_res` cells a side, or is resized to that.
        flow_layers: Generator layers that feed it, coarse to fine: b16.conv1, b32.conv1 and b64.conv0 by default.
        flow_inputs: Channels of those layers.
        adapter_relu: Whether adapters end in a ReLU (image features are non-negative; the paper names none).
        flow_source: "features", or "pictures" for the ablation.
        pyramid: Of the images, for `flow_source: pictures`.
        skip_flow_if_same: Take zero flow for a reconstruction instead of estimating it.
    """

    residual: ResidualConfig = field(default_factory=ResidualConfig)
    flow: FlowConfig = field(default_factory=FlowConfig)
    flow_layers: tuple[int, int, int] = (4, 6, 7)
    flow_inputs: tuple[int, int, int] = (512, 512, 512)
    adapter_relu: bool = False
    flow_source: Literal["features", "pictures"] = "features"
    pyramid: PyramidConfig = field(default_factory=PyramidConfig)
    skip_flow_if_same: bool = False


class WarpRes(StyleRes):
    """E_1, E_2, flow adapters (or image pyramid) and flow head: all that is trained, and how it runs."""

    stages = ("prefix", "residual", "flow", "refine", "synthesise")

    def __init__(self, config: WarpResConfig | None = None) -> None:
        config = config or WarpResConfig()
        super().__init__(config)
        self.flow_config = config
        self.head = build_head(config.flow)
        self.adapters: nn.ModuleList | None = None
        self.pyramid: Pyramid | None = None
        if config.flow_source == "features":
            self.adapters = nn.ModuleList(
                nn.Conv2d(before, after, 3, padding=1)
                for before, after in zip(config.flow_inputs, config.flow.channels, strict=True)
            )
        else:
            self.pyramid = Pyramid(config.pyramid)

    @property
    def map_layers(self) -> tuple[int, ...]:
        """Of the flow's generator layers, those below the tap."""
        return tuple(layer for layer in self.flow_config.flow_layers if layer < self.config.tap_layer)

    def flow_maps(self, generator: Synthesis, codes: Tensor, prefix: Prefix) -> tuple[Tensor, ...]:
        """Feature maps (coarse, middle, fine) of the image behind a prefix, in the channels the head knows."""
        with stage("flow"):
            if self.adapters is None:
                return self._image_maps(generator, codes, prefix)
            maps = (*prefix.maps, prefix.state.x)[: len(self.adapters)]
            adapted = (adapter(map_) for adapter, map_ in zip(self.adapters, maps, strict=True))
            return tuple(F.relu(map_) for map_ in adapted) if self.flow_config.adapter_relu else tuple(adapted)

    def _image_maps(self, generator: Synthesis, codes: Tensor, prefix: Prefix) -> tuple[Tensor, ...]:
        """The plain image (no residuals), averaged to the flow's image size, through the pyramid."""
        side = self.flow_config.flow.picture
        image = generator.advance(prefix.state, codes).rgb
        assert image is not None and self.pyramid is not None
        return tuple(self.pyramid(normalise(F.interpolate(image, size=(side, side), mode="area"))))

    def flow(self, generator: Synthesis, prepared: Prepared, codes: Tensor, prefix: Prefix) -> Tensor:
        """Flow (N, 2, r, r) in cells of the feature grid: lives on the edited image, points to the unedited one."""
        same = prefix is prepared.prefix
        features = prefix.state.x
        if same and self.flow_config.skip_flow_if_same:
            cells = features.new_zeros(len(features), 2, *features.shape[-2:])
        else:
            target = prepared.source if same else self.flow_maps(generator, codes, prefix)
            with stage("flow"):
                cells = self.cells(self.head(Maps(*target), Maps(*prepared.source)).flow1)
        announce("flow", cells)
        return cells

    def cells(self, flow: Tensor) -> Tensor:
        """A flow in pixels of the flow's image (N, 2, h, w) as cells of the feature grid (N, 2, r, r)."""
        side = self.config.feature_res
        return resize_flow(flow, (side, side)) * (side / self.flow_config.flow.picture)

    def transport(self, residual: Tensor, cells: Tensor | None) -> Tensor:
        """F_wa: F_a warped by a flow in cells; None leaves it where it is."""
        return residual if cells is None else warp(residual, cells)
