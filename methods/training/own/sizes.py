"""Sizes of the networks that go with a StyleGAN2 generator of any size, by the proportions of the paper's."""

from __future__ import annotations

from typing import Literal

from bench.core.errors import UsageError
from methods.nets.flow.glunet import FlowConfig
from methods.nets.irse import IRSEConfig
from methods.nets.pyramid import PyramidConfig, Wiring
from methods.nets.stylegan2 import DiscriminatorConfig, GeneratorConfig
from methods.styleres.network import ResidualConfig
from methods.styleres.pipeline import StyleResConfig
from methods.training.world import BACKBONE
from methods.warpres.network import WarpResConfig

BackboneName = Literal["small", "irse50"]
BACKBONES: dict[BackboneName, IRSEConfig] = {"small": BACKBONE, "irse50": IRSEConfig()}
_SMALL_FLOW = ((48, 48, 40, 32, 24), (40, 40, 40, 32, 24, 24))  # widths of decoders and refinement, as in the world
_SMALL_MAPS = (64, 48, 32)  # channels in which the small head compares maps, coarse to fine
LEAST_SIZE = 32


def input_size(generator: GeneratorConfig) -> int:
    """Side of the images that the encoder sees: the generator's, at most 256."""
    if generator.size < LEAST_SIZE:
        raise UsageError(f"a generator of {generator.size} px is too small", f"at least {LEAST_SIZE} px")
    return min(256, generator.size)


def encoder_config(generator: GeneratorConfig, backbone: BackboneName, wiring: Wiring) -> PyramidConfig:
    """A pyramid encoder for the generator's rows; coarse and middle heads in the proportion of the 1024-px networks."""
    network = BACKBONES[backbone]
    return PyramidConfig(
        backbone=network,
        rows=generator.rows,
        style_dim=generator.style_dim,
        wiring=wiring,
        coarse=min(3, generator.rows),
        middle=min(7, max(3, round(generator.rows * 0.6))),
        depths=PyramidConfig.depths_for(network, input_size(generator)),
    )


def feature_side(generator: GeneratorConfig) -> int:
    """Side of the generator map that residuals are added to: a quarter of a 256-px input, half of a smaller one."""
    return min(64, generator.size // 2)


def residual_config(generator: GeneratorConfig, encoder: PyramidConfig, width: int) -> StyleResConfig:
    """E_1 and E_2 at `feature_side`, on the backbone stage of that size."""
    side = feature_side(generator)
    tap = (input_size(generator) // side).bit_length() - 2
    channels = generator.channels[side]
    residual = ResidualConfig(
        width=min(width, channels), base_channels=encoder.backbone.widths[tap], feature_channels=channels
    )
    return StyleResConfig(residual, side, tap)


def flow_config(generator: GeneratorConfig, encoder: PyramidConfig, width: int) -> WarpResConfig:
    """The same with a flow between them: the paper's head at 64 px, a small one below.

    It compares the generator's maps at a quarter, half and all of `feature_side`.
    """
    styleres = residual_config(generator, encoder, width)
    side = styleres.feature_res
    decoders, refinement = _SMALL_FLOW
    small = FlowConfig(
        picture=2 * side, grid=side // 4, channels=_SMALL_MAPS, decoder_widths=decoders, refine_widths=refinement
    )
    sizes = (side // 4, side // 2, side)
    layers = (_second(sizes[0]), _second(sizes[1]), styleres.tap_layer)
    coarse, middle, fine = (generator.channels[size] for size in sizes)
    return WarpResConfig(
        residual=styleres.residual,
        feature_res=side,
        base_tap=styleres.base_tap,
        flow=FlowConfig() if has_released_flow(generator) else small,
        flow_layers=layers,
        flow_inputs=(coarse, middle, fine),
    )


def has_released_flow(generator: GeneratorConfig) -> bool:
    """Whether the released flow network's head fits, so that it can teach."""
    return feature_side(generator) == 64


def discriminator_config(generator: GeneratorConfig) -> DiscriminatorConfig:
    """A discriminator of the images that losses see, with the generator's channels."""
    size = input_size(generator)
    return DiscriminatorConfig(size, {side: width for side, width in generator.channels.items() if side <= size})


def _second(size: int) -> int:
    """The generator's second (at 4 px the only) convolution layer of a size."""
    return max(0, 2 * (size.bit_length() - 1) - 4)
