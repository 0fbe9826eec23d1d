"""The generator and the discriminator compute what the authors' compute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from methods.discriminators import load_discriminator
from methods.generators import load_generator
from methods.nets.stylegan2 import GeneratorConfig
from tests import filling
from tests.parity.comparison import channel_groups, feature_summary, image_summary

pytestmark = pytest.mark.parity


@pytest.mark.parametrize("size", [1024, 512])
def test_mapping_features_images_truncation_and_mixing(
    size: int, filled: Callable[..., Any], comparison: Callable[..., Any]
) -> None:
    expected = comparison(f"stylegan2_{size}", method="stylegan2", domain="faces" if size == 1024 else "cars")
    with filled(f"stylegan2_{size}") as (path,):
        generator, averages = load_generator(path)
    assert generator.config == GeneratorConfig.config_f(size)
    rows, average = generator.config.rows, averages[0]
    z = torch.from_numpy(filling.fill("z", (2, 512), ["normal", 1.0]))
    w = generator.mapping(z)
    expected.check("w", w)

    codes = torch.from_numpy(filling.fill("w_plus", (2, rows, 512), ["normal", 0.7]))
    last = generator.config.layers
    stops = {"g4": 1, "g8b": 3, "g16b": 5, "g32a": 6, "g32b": 7, "g64a": 8, "g64b": 9, f"g{size}b": last}
    state = None
    for name, stop in stops.items():
        state = generator.advance(state, codes, stop)
        expected.check_all(feature_summary(name, state.x))
    assert state is not None and state.rgb is not None
    expected.check_all(image_summary("image", state.rgb))

    truncated = generator.broadcast(average + 0.7 * (w - average))
    expected.check_all(image_summary("trunc", generator(truncated)))
    if size == 512:
        mixed = torch.cat([w[:1, None].expand(-1, 5, -1), w[1:, None].expand(-1, rows - 5, -1)], 1)
        expected.check("mix_latent", mixed)
        expected.check_all(image_summary("mix", generator(mixed)))
    assert not expected.unchecked()


@pytest.mark.parametrize(("size", "batch"), [(256, 8), (512, 2), (1024, 2)])
def test_scores_of_the_discriminator(
    size: int, batch: int, filled: Callable[..., Any], comparison: Callable[..., Any]
) -> None:
    name = f"stylegan2_discriminator_{size}"
    expected = comparison(name, method="stylegan2")
    with filled(name) as (path,):
        network = load_discriminator(path)
    assert network.config.size == size
    images = filling.golden_image(0, batch, size)
    first = network.convs[1](network.convs[0](images))
    expected.check_all(feature_summary("blk1", first))
    last = network.convs[2:](first)
    expected.check("last_pool", channel_groups(last, 16))
    expected.check("score", network(images))
    assert not expected.unchecked()
