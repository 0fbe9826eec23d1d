"""What only GOAE has: its encoder and the occlusion-aware mix of planes (goae card, sections 3 to 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.nets.eg3d.camera import rays
from methods.nets.irse import IRSE, IRSEConfig
from methods.nets.stylegan2.layers import fused_leaky_relu
from methods.nets.swin import SwinConfig, SwinV2

_SLOPE = 0.01


@dataclass(frozen=True)
class GoaeConfig:
    """Sizes; the defaults are the released FFHQ network.

    Attributes:
        swin: The encoder's backbone.
        style_dim: D.
        rows: Code rows of the three groups (coarse, mid, fine); one more, the first, takes the base code alone.
        heads: Of cross attention.
        afa: Backbone of the module that fills the feature (three IR-SE stages of the image's difference).
        mask_sigma: Of the blurs of the visibility mask; officially drawn from U(1, 2) at every call.
        mask_side: Side of that mask.
    """

    swin: SwinConfig = field(default_factory=SwinConfig)
    style_dim: int = 512
    rows: tuple[int, int, int] = (3, 3, 7)
    heads: int = 4
    afa: IRSEConfig = field(
        default_factory=lambda: IRSEConfig(widths=(64, 128, 256), units=(3, 3, 3), strides=(2, 2, 2))
    )
    mask_sigma: float = 1.5
    mask_side: int = 256


def _mlp(inputs: int, outputs: int, hidden: int = 0) -> nn.Sequential:
    hidden = hidden or inputs
    return nn.Sequential(nn.Linear(inputs, hidden), nn.LeakyReLU(_SLOPE), nn.Linear(hidden, outputs))


class CrossAttention(nn.Module):
    """Queries (N, Q, D) over keys and values (N, T, D); a norm without parameters, and none after the last sum."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.multihead_attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.linear1, self.linear2 = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, queries: Tensor, tokens: Tensor) -> Tensor:
        """(N, Q, D): the queries plus what they found among the tokens, then plus an MLP of that."""
        found = self.multihead_attn(queries, tokens, tokens, need_weights=False)[0]
        mixed = F.layer_norm(queries + found, queries.shape[-1:])
        return mixed + self.linear2(F.relu(self.linear1(mixed)))


class Encoder(nn.Module):
    """Images (N, 3, 256, 256) in [-1, 1] -> codes (N, 14, D) without the mean code."""

    def __init__(self, config: GoaeConfig | None = None) -> None:
        super().__init__()
        config = config or GoaeConfig()
        swin, width = config.swin, config.style_dim
        self.rows = config.rows
        self.swin_model = SwinV2(swin)
        tokens = [(swin.size // swin.patch >> number) ** 2 for number in range(4)]
        fine, mid, coarse, last = (swin.width << number for number in range(4))
        self.mapper_base_spatial, self.mapper_base_channel = _mlp(tokens[3], 1), _mlp(last, width)
        for name, rows in zip(("coarse", "mid", "fine"), config.rows, strict=True):
            self.add_module(f"mapper_query_spatial_{name}", _mlp(tokens[3], rows))
            self.add_module(f"mapper_query_channel_{name}", _mlp(last, width))
            self.add_module(f"cross_att_{name}", CrossAttention(width, config.heads))
        self.mapper_coarse_channel = nn.Sequential(nn.Linear(coarse, width), nn.LeakyReLU(_SLOPE))
        self.mapper_mid_channel = nn.Sequential(nn.Linear(mid, width), nn.LeakyReLU(_SLOPE))
        self.mapper_fine_channel = nn.Sequential(*_mlp(fine, width, 2 * fine), nn.LeakyReLU(_SLOPE))
        self.mapper_coarse_to_mid_spatial = _up(tokens[2], 2 * tokens[2], tokens[1])
        self.mapper_mid_to_fine_spatial = _up(tokens[1], 2 * tokens[1], tokens[0])

    def forward(self, images: Tensor) -> Tensor:
        """Codes (N, 14, D): the base code in every row, plus that row's difference to it; row 0 has none."""
        base, deltas = self.parts(self.swin_model.taps(images))
        first = torch.zeros_like(deltas[:, :1])
        return base[:, None] + torch.cat([first, deltas], 1)

    def parts(self, taps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """The base code (N, D) and the further rows' differences to it (N, 13, D)."""
        fine, mid, coarse, query, last = taps
        base = self.mapper_base_channel(_summary(self.mapper_base_spatial, last)[:, 0])
        keys = {"coarse": self.mapper_coarse_channel(coarse)}
        raised = self.mapper_coarse_to_mid_spatial(keys["coarse"].transpose(1, 2)).transpose(1, 2)
        keys["mid"] = self.mapper_mid_channel(mid) + raised
        raised = self.mapper_mid_to_fine_spatial(keys["mid"].transpose(1, 2)).transpose(1, 2)
        keys["fine"] = self.mapper_fine_channel(fine) + raised
        found = []
        for name, tokens in keys.items():
            spatial, channel = (self.get_submodule(f"mapper_query_{part}_{name}") for part in ("spatial", "channel"))
            found.append(self.get_submodule(f"cross_att_{name}")(channel(_summary(spatial, query)), tokens))
        return base, torch.cat(found, 1)


def _up(before: int, hidden: int, after: int) -> nn.Sequential:
    """Linear over the token axis, with an activation after both layers."""
    return nn.Sequential(
        nn.Linear(before, hidden), nn.LeakyReLU(_SLOPE), nn.Linear(hidden, after), nn.LeakyReLU(_SLOPE)
    )


def _summary(spatial: nn.Module, tokens: Tensor) -> Tensor:
    """Rows (N, R, C) mixed of tokens (N, T, C), plus the largest token value of each channel in every row."""
    across = tokens.transpose(1, 2)
    return (spatial(across) + across.amax(2, keepdim=True)).transpose(1, 2)


class EqualConv(nn.Module):
    """Equalized 3x3 convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, h, w) -> (N, out, h, w), same size; the weights are scaled by 1 / sqrt(9 in)."""
        return F.conv2d(x, self.weight * (self.weight[0].numel() ** -0.5), self.bias, padding=1)


class Afa(IRSE):
    """Fills the generator's 32 px feature with what the image of the codes lacks."""

    def __init__(self, config: GoaeConfig | None = None) -> None:
        config = config or GoaeConfig()
        super().__init__(config.afa)
        width = config.style_dim
        self.output_layer = nn.ModuleDict({"0": EqualConv(config.afa.widths[-1], width), "2": EqualConv(width, width)})
        self.cross_att_gamma = CrossAttention(width, config.heads)
        self.cross_att_beta = CrossAttention(width, config.heads)

    def modulation(self, photo: Tensor, picture: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Scale and shift (N, C, h, w) of features (N, C, h, w), from a photo and the image of its codes."""
        lacking = super().forward(picture - photo)
        found = self.output_layer["2"](fused_leaky_relu(self.output_layer["0"](lacking)))
        tokens = _normed(found.flatten(2).transpose(1, 2))
        queries = _normed(features.flatten(2).transpose(1, 2))
        shapes = (self.cross_att_gamma, self.cross_att_beta)
        gamma, beta = (attention(queries, tokens).transpose(1, 2).reshape(features.shape) for attention in shapes)
        return gamma, beta


def _normed(tokens: Tensor) -> Tensor:
    return F.layer_norm(tokens, tokens.shape[-1:])


def visible(cameras: Tensor, depth: Tensor, side: int, box: float) -> Tensor:
    """Where the first plane is seen: (N, 1, side, side) of ones and zeros, blurred and cut once.

    Args:
        cameras: (N, 25).
        depth: (N, 1, r, r), distance of the surface along each ray.
    """
    origins, directions = rays(cameras, depth.shape[-1])
    points = origins[:, None] + depth.flatten(2).transpose(1, 2) * directions
    places = ((points[..., :2] / box + 0.5) * side).clamp(0, side - 1).long()
    seen = depth.new_zeros(len(depth), side * side)
    return seen.scatter(1, places[..., 1] * side + places[..., 0], 1.0).view(-1, 1, side, side)


def softened(seen: Tensor, sigma: float, threshold: float = 0.35) -> tuple[Tensor, Tensor]:
    """The binary mask after blur and threshold, and that mask blurred again."""
    binary = (_blurred(seen, sigma) > threshold).to(seen)
    return binary, _blurred(binary, sigma)


def _blurred(mask: Tensor, sigma: float) -> Tensor:
    """9 x 9 Gaussian, reflected at the border."""
    steps = torch.arange(-4, 5, device=mask.device, dtype=mask.dtype)
    line = torch.exp(-steps.square() / (2 * sigma**2))
    line = line / line.sum()
    kernel = torch.outer(line, line)[None, None]
    return F.conv2d(F.pad(mask, (4, 4, 4, 4), mode="reflect"), kernel)
