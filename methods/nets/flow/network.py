"""A flow network on images: a pyramid and a head, and the way from 0..255 images to a full-size flow."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.core.errors import UsageError
from methods.nets.flow.glunet import FlowConfig, FlowHead, Flows
from methods.nets.flow.semantic_glunet import SemanticFlowHead
from methods.nets.flow.vgg_pyramid import Pyramid, PyramidConfig
from methods.nets.flow.warp import resize_flow, scale_flow

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def build_head(config: FlowConfig) -> FlowHead:
    """The flow head that `config.kind` names. Raises UsageError for another name."""
    heads: dict[str, type[FlowHead]] = {"warpc_glunet": FlowHead, "warpc_semantic_glunet": SemanticFlowHead}
    if config.kind not in heads:
        raise UsageError(f"unknown flow network {config.kind!r}", f"known: {', '.join(sorted(heads))}")
    return heads[config.kind](config)


class FlowNet(nn.Module):
    """Flow between images. `FlowNet(FlowConfig(kind=...))` is the released network, VGG16 included.

    Args:
        config: Of the head; its channels must be the pyramid's.
        pyramid: Of the images; VGG16 when None.
    """

    def __init__(self, config: FlowConfig | None = None, pyramid: PyramidConfig | None = None) -> None:
        super().__init__()
        self.config = config or FlowConfig()
        pyramid = pyramid or PyramidConfig(ceil_pool=self.config.kind == "warpc_semantic_glunet")
        self.pyramid = Pyramid(pyramid)
        self.head = build_head(self.config)

    def forward(
        self,
        target: Tensor,
        source: Tensor,
        small: tuple[Tensor, Tensor] | None = None,
    ) -> Flows:
        """Flow from target to source, TARGET FIRST.

        Args:
            target, source: Normalised images (N, 3, h, w); see `normalise`.
            small: The same two at `config.picture` square; None when they are that size already, which saves a pyramid.

        Returns:
            `Flows` in pixels; flow1 is (N, 2, h / 4, w / 4) in the released networks.
        """
        count = len(target)
        maps = self.pyramid(torch.cat((target, source)))
        full = (type(maps)(*(m[:count] for m in maps)), type(maps)(*(m[count:] for m in maps)))
        if small is None:
            return self.head(*full)
        maps = self.pyramid(torch.cat(small))
        return self.head(type(maps)(*(m[:count] for m in maps)), type(maps)(*(m[count:] for m in maps)), full)


def normalise(images: Tensor) -> Tensor:
    """Images (N, 3, h, w) in [-1, 1] by ImageNet's mean and deviation."""
    mean, std = _statistics(images.device, images.dtype)
    return ((images + 1) / 2 - mean) / std


@lru_cache(maxsize=8)
def _statistics(device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """ImageNet's mean and deviation (3, 1, 1), kept: sending them anew would make a GPU wait for the host."""
    with torch.inference_mode(False):
        mean, std = (torch.tensor(values, device=device, dtype=dtype)[:, None, None] for values in (_MEAN, _STD))
    return mean, std


def estimate_flow(network: FlowNet, source: Tensor, target: Tensor) -> Tensor:
    """Full-size flow between two images of any size, SOURCE FIRST as in the authors' helper.

    Args:
        network: In eval mode.
        source, target: (N, 3, H, W) in [0, 255].

    Returns:
        (N, 2, H, W) on the target's grid, in its pixels, pointing to the source.
    """
    height, width = target.shape[-2:]
    side = network.config.picture
    grain = network.config.middle_stride
    size = (max(height // grain * grain, side), max(width // grain * grain, side))
    full = [_prepare(image, size) for image in (target, source)]
    small = None if size == (side, side) else tuple(_prepare(image, (side, side)) for image in (target, source))
    flow = network(*full, small=small).flow1
    return scale_flow(resize_flow(flow, (height, width)), width / size[1], height / size[0])


def _prepare(images: Tensor, size: tuple[int, int]) -> Tensor:
    return normalise(F.interpolate(images, size=size, mode="area") / 127.5 - 1)
