"""Sizes for a generator of one's own: the paper's at the paper's size, the world's proportions at the world's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from bench.core.errors import MissingError, UsageError
from methods.nets.stylegan2 import Discriminator, GeneratorConfig
from methods.training.own.sizes import discriminator_config, encoder_config, feature_side, flow_config, residual_config
from methods.training.recipe import load_recipe
from methods.training.task import Context
from methods.training.tasks import own_encoder, own_residual
from methods.training.world import ENCODER, GENERATOR
from methods.warpres.network import WarpRes, WarpResConfig
from methods.warpres.presets import WORLD_WARPRES

FFHQ = GeneratorConfig.config_f(1024)
SMALLEST = GeneratorConfig(size=32, style_dim=32, mapping_layers=2, channels={4: 32, 8: 32, 16: 24, 32: 16})


def test_a_1024_px_generator_gets_the_papers_networks() -> None:
    encoder = encoder_config(FFHQ, "irse50", "deltas")
    assert (encoder.rows, encoder.coarse, encoder.middle, encoder.depths) == (18, 3, 7, (4, 5, 6))
    found, paper = flow_config(FFHQ, encoder, 128), WarpResConfig()
    assert (found.residual, found.feature_res, found.base_tap) == (paper.residual, 64, 1)
    assert (found.flow, found.flow_layers, found.flow_inputs) == (paper.flow, paper.flow_layers, paper.flow_inputs)


def test_a_64_px_generator_gets_the_worlds_places() -> None:
    encoder = encoder_config(GENERATOR, "small", "deltas")
    assert encoder == ENCODER
    found = flow_config(GENERATOR, encoder, 48)
    assert (found.residual, found.feature_res, found.base_tap) == (WORLD_WARPRES.residual, 32, 0)
    assert (found.flow_layers, found.flow_inputs, found.flow.grid) == ((2, 4, 5), (128, 96, 64), 8)


@pytest.mark.parametrize("size", [32, 128, 256, 512])
def test_networks_of_other_sizes_fit_together(size: int) -> None:
    generator = SMALLEST if size == 32 else GeneratorConfig.config_f(size)
    encoder = encoder_config(generator, "small", "deltas")
    config = flow_config(generator, encoder, 64)
    assert config.feature_res == feature_side(generator) == min(64, size // 2)
    assert generator.layer_size(config.tap_layer) == config.feature_res
    assert [generator.layer_size(layer) for layer in config.flow_layers] == [config.feature_res // n for n in (4, 2, 1)]
    assert config.flow.grid * 4 == config.feature_res
    with torch.device("meta"):
        WarpRes(config)
        assert Discriminator(discriminator_config(generator)).config.size == min(256, size)
    assert residual_config(generator, encoder, 64).residual.feature_channels == generator.channels[config.feature_res]


def test_what_is_missing_is_named_before_anything_runs(tmp_path: Path) -> None:
    for name, module in (("own/e4e", own_encoder), ("own/styleres", own_residual)):
        build: Any = module.build
        with pytest.raises(MissingError, match="no training images") as caught:
            build(load_recipe(name), Context(tmp_path))
        assert "--data" in caught.value.next_step
    with pytest.raises(MissingError, match="no generator is given"):
        own_encoder.build(load_recipe("own/e4e"), Context(tmp_path, data=tmp_path))
    with pytest.raises(MissingError, match=r"no e4e at .*own.e4e.e4e\.safetensors"):
        own_residual.build(load_recipe("own/warpres"), Context(tmp_path, data=tmp_path))
    with pytest.raises(UsageError, match=r"weights\.identity is not 0"):
        load_recipe("own/styleres", ["weights.identity=0.1"])
    with pytest.raises(UsageError, match="16 px is too small"):
        encoder_config(GeneratorConfig.config_f(16), "small", "deltas")
