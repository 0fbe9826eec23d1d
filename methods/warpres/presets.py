"""Ready configurations by name: the paper's, the released one, the group's, the ablation rows, the embedded world."""

from __future__ import annotations

from bench.core.errors import unknown_name
from bench.world.flow_teacher import WORLD_FLOW, WORLD_PYRAMID
from methods.nets.flow.glunet import FlowConfig
from methods.styleres.network import ResidualConfig
from methods.styleres.pipeline import StyleResConfig
from methods.warpres.network import WarpResConfig

# The embedded world: 64-px images, generator channels 128-128-96-64-32, F_0 = stage 1 of a small IR-SE network.
WORLD_RESIDUAL = ResidualConfig(width=48, base_channels=32, feature_channels=64)
WORLD_STYLERES = StyleResConfig(residual=WORLD_RESIDUAL, feature_res=32, base_tap=0)
WORLD_WARPRES = WarpResConfig(
    residual=WORLD_RESIDUAL,
    feature_res=32,
    base_tap=0,
    flow=WORLD_FLOW,
    flow_layers=(2, 4, 5),
    flow_inputs=(128, 96, 64),
    pyramid=WORLD_PYRAMID,
)

PRESETS: dict[str, StyleResConfig] = {
    "styleres": StyleResConfig(),
    "styleres-paper": StyleResConfig(residual=ResidualConfig()),
    "warpres": WarpResConfig(),
    "warpres-semantic": WarpResConfig(flow=FlowConfig(kind="warpc_semantic_glunet")),
    "warpres-group-reduced": WarpResConfig(residual=ResidualConfig(arch="group_reduced", width=512)),
    "warpres-on-released-styleres": WarpResConfig(residual=ResidualConfig(arch="styleres", width=512)),
    "warpres-pretrained-flow": WarpResConfig(flow_source="pictures"),
    "warpres-128": WarpResConfig(
        residual=ResidualConfig(base_channels=64, feature_channels=256), feature_res=128, base_tap=0
    ),
    "world-styleres": WORLD_STYLERES,
    "world-warpres": WORLD_WARPRES,
}


def preset(name: str) -> StyleResConfig:
    """A ready configuration. Raises UsageError with close names."""
    if name not in PRESETS:
        raise unknown_name("configuration", name, list(PRESETS))
    return PRESETS[name]
