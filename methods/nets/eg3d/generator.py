"""EG3D's networks around its renderer: mapping with a camera, plane backbone, decoder, super-resolution."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.nets.eg3d.camera import rays
from methods.nets.eg3d.render import Draws, RenderConfig, render, sample_planes
from methods.nets.stylegan2 import Generator, GeneratorConfig, State
from methods.nets.stylegan2.generator import StyledConv, ToRGB
from methods.nets.stylegan2.layers import EqualLinear

_CLAMP = 256.0


@dataclass(frozen=True)
class Eg3dConfig:
    """Sizes; the defaults are the released FFHQ network.

    Attributes:
        backbone: The StyleGAN2 that makes three planes, stacked as its "colour" channels.
        render: Of the volume renderer.
        hidden: Width of the decoder.
        widths: Channels of the two super-resolution blocks; each doubles the size.
        seen: Side that super-resolution starts from.
    """

    backbone: GeneratorConfig = field(
        default_factory=lambda: GeneratorConfig(
            size=256,
            mapping_layers=0,
            channels={4: 512, 8: 512, 16: 512, 32: 512, 64: 512, 128: 256, 256: 128},
            rgb=96,
        )
    )
    render: RenderConfig = field(default_factory=RenderConfig)
    hidden: int = 64
    widths: tuple[int, int] = (256, 128)
    seen: int = 128

    @property
    def channels(self) -> int:
        """Of one plane, and of the feature image."""
        return self.backbone.rgb // 3

    @property
    def output(self) -> int:
        """Side of the image."""
        return 4 * self.seen


class Rendered(NamedTuple):
    """A view: image (N, 3, S, S) in about [-1, 1], raw (N, 3, r, r), features (N, C, r, r), depth (N, 1, r, r)."""

    image: Tensor
    raw: Tensor
    features: Tensor
    depth: Tensor


class CameraMapping(nn.Module):
    """w of z (N, D) and a conditioning camera (N, 25); `average` is the mean w."""

    average: Tensor

    def __init__(self, width: int = 512) -> None:
        super().__init__()
        self.embed = EqualLinear(25, width)
        self.fc0 = EqualLinear(2 * width, width, lr_mul=0.01, act=True)
        self.fc1 = EqualLinear(width, width, lr_mul=0.01, act=True)
        self.register_buffer("average", torch.zeros(width))

    def forward(self, z: Tensor, cameras: Tensor, truncation: float = 1.0) -> Tensor:
        """w (N, width) of z and camera, each over its root mean square; moved to the mean w where `truncation` < 1."""
        both = torch.cat([_normalised(z), _normalised(self.embed(cameras))], 1)
        w = self.fc1(self.fc0(both))
        return self.average + truncation * (w - self.average)


def _normalised(x: Tensor) -> Tensor:
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)


class PlaneDecoder(nn.Module):
    """Plane values (N, M, C) -> raw density (N, M, 1) and features (N, M, C) in about [0, 1]."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.net = nn.ModuleDict({"0": EqualLinear(channels, hidden), "2": EqualLinear(hidden, 1 + channels)})

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Density and features of one hidden layer; a stretched sigmoid bounds the features to [-0.001, 1.001]."""
        found = self.net["2"](F.softplus(self.net["0"](values)))
        return found[..., :1], torch.sigmoid(found[..., 1:]) * 1.002 - 0.001


class SuperResolution(nn.Module):
    """Two StyleGAN2 blocks without noise, bounded, that double the size each; every layer reads the same code."""

    def __init__(self, channels: int, widths: tuple[int, int], style_dim: int, seen: int) -> None:
        super().__init__()
        self.seen = seen
        self.convs, self.to_rgbs = nn.ModuleList(), nn.ModuleList()
        before = channels
        for width in widths:
            self.convs.append(StyledConv(before, width, style_dim, up=True, clamp=_CLAMP))
            self.convs.append(StyledConv(width, width, style_dim, up=False, clamp=_CLAMP))
            self.to_rgbs.append(ToRGB(width, style_dim, up=True, clamp=_CLAMP))
            before = width

    def forward(self, features: Tensor, w: Tensor) -> Tensor:
        """Images (N, 3, 4 s, 4 s), s = `seen`, of a feature image (N, C, r, r); its first 3 channels are colours."""
        x, rgb = (self._resized(part) for part in (features, features[:, :3]))
        for block, to_rgb in enumerate(self.to_rgbs):
            for conv in self.convs[2 * block : 2 * block + 2]:
                x = conv(x, w, None)
            rgb = to_rgb(x, w, rgb)
        return rgb

    def _resized(self, x: Tensor) -> Tensor:
        if x.shape[-1] == self.seen:
            return x
        return F.interpolate(x, (self.seen, self.seen), mode="bilinear", align_corners=False, antialias=True)


class Eg3d(nn.Module):
    """The generator. `codes` are (N, 14, D) in the released network; cameras (N, 25)."""

    def __init__(self, config: Eg3dConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or Eg3dConfig()
        style_dim = config.backbone.style_dim
        self.mapping = CameraMapping(style_dim)
        self.backbone = Generator(config.backbone)
        self.decoder = PlaneDecoder(config.channels, config.hidden)
        self.superresolution = SuperResolution(config.channels, config.widths, style_dim, config.seen)

    def planes(self, codes: Tensor, state: State | None = None) -> Tensor:
        """Planes (N, 3, C, h, w), from the start or from a state of the backbone; stored noise."""
        stacked = self.backbone.advance(state, codes).rgb
        assert stacked is not None
        return stacked.unflatten(1, (3, self.config.channels))

    def field(self, planes: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
        """Raw density and features at points (N, M, 3) of the world."""
        return self.decoder(sample_planes(planes, points, self.config.render.box))

    def features(
        self, planes: Tensor, cameras: Tensor, *, resolution: int = 0, draws: Draws | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Feature image (N, C, r, r), depth and total weight (N, 1, r, r) from cameras (N, 25)."""
        side = resolution or self.config.render.resolution
        found = render(lambda points: self.field(planes, points), *rays(cameras, side), self.config.render, draws)
        maps = (found.features, found.depth, found.weights.sum(2))
        features, depth, total = (x.transpose(1, 2).unflatten(2, (side, side)) for x in maps)
        return features, depth, total

    def view(
        self, planes: Tensor, cameras: Tensor, codes: Tensor, *, resolution: int = 0, draws: Draws | None = None
    ) -> Rendered:
        """The scene of the planes from cameras (N, 25); super-resolution reads the last row of the codes."""
        features, depth, _ = self.features(planes, cameras, resolution=resolution, draws=draws)
        return Rendered(self.superresolution(features, codes[:, -1]), features[:, :3], features, depth)
