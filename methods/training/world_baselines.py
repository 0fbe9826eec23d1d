"""The embedded world's sizes of the baselines: the classes of the full-size networks, for 64-px images and 10 rows."""

from __future__ import annotations

from dataclasses import replace

from methods.featurestyle.network import FeatureEncoderConfig
from methods.hfgi.network import HfgiConfig
from methods.hyperstyle.network import HyperConfig
from methods.nets.pyramid import Wiring
from methods.nets.resnet34 import ResNetConfig
from methods.restyle.network import RestyleConfig
from methods.styletransformer.network import TransformerConfig
from methods.training.world import BACKBONE, CHANNELS, GENERATOR

# The shared hypernetwork makes offsets of the widest layers from vectors as long as those layers are wide.
HYPERSTYLE = HyperConfig(
    resnet=ResNetConfig(widths=(32, 48, 64, CHANNELS[4]), units=(1, 1, 2, 1)),
    w_encoder=BACKBONE,
    shared_width=32,
    own_width=32,
    own_features=16,
)
# Fused where StyleRes adds its features: after the first 32-px layer. The residual is read at that size.
HFGI = HfgiConfig(feature_width=CHANNELS[32], fuse_after=6, consult_strides=(2, 1))
STYLETRANSFORMER = TransformerConfig(
    backbone=replace(BACKBONE, widths=(*BACKBONE.widths[:3], GENERATOR.style_dim)),
    tokens=GENERATOR.rows,
    feedforward=2 * GENERATOR.style_dim,
)
# F enters where it does in the released network, before the 32-px up-convolution; the trunk keeps 16 px for it.
FEATURESTYLE = FeatureEncoderConfig(
    halvings=0,
    stem=32,
    widths=(32, 48, 64, 96),
    depths=(2, 2, 3, 2),
    strides=(2, 1, 2, 2),
    rows=GENERATOR.rows,
    style_dim=GENERATOR.style_dim,
    feature_width=CHANNELS[16],
    feature_stride=1,
)


def restyle(wiring: Wiring) -> RestyleConfig:
    """ReStyle over e4e ("deltas") or pSp ("rows")."""
    return RestyleConfig(
        irse=replace(BACKBONE, in_channels=6),
        rows=GENERATOR.rows,
        style_dim=GENERATOR.style_dim,
        wiring=wiring,
        depth=2,
    )
