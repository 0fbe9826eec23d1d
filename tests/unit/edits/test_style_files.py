"""StyleCLIP's global directions: files of style offsets, and what they do in a generator and in methods over one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from bench.core.errors import MissingError, UsageError
from bench.edits.cards import Card, read_card
from bench.edits.directions import load_direction
from bench.edits.style_files import direction_of, load_styles, style_widths
from methods import load_method
from methods.nets.stylegan2 import Generator, GeneratorConfig
from tests.unit.methods.small import GENERATOR, seeded, write_small

CARD = read_card(
    """
name = "bangs"
domain = "faces"
generator = "ffhq-1024"
rule = "style"
origin = "mine"
licence = "mine"
sign = "+ adds bangs"
strength_source = "tried"
file = "bangs.npy"
strength = 3.0
""",
    "bangs.toml",
)


def test_widths_are_those_of_the_card() -> None:
    widths = style_widths(GeneratorConfig())
    assert widths == [512] * 10 + [256, 256, 128, 128, 64, 64, 32]
    assert (sum(widths), sum(widths[:11])) == (6048, 5376)


@pytest.mark.parametrize("length", [6048, 5376])
def test_finished_offsets_move_the_first_eleven_layers(tmp_path: Path, length: int) -> None:
    values = np.arange(length, dtype=np.float32)
    np.save(tmp_path / "bangs.npy", values)
    styles = load_styles(tmp_path / "bangs.npy", CARD)
    assert list(styles) == list(range(11))
    assert torch.equal(torch.cat(list(styles.values())), torch.from_numpy(values[:5376]))


def test_all_layers_where_the_card_says_so(tmp_path: Path) -> None:
    np.save(tmp_path / "bangs.npy", np.ones(6048, np.float32))
    assert len(load_styles(tmp_path / "bangs.npy", replace(CARD, layers=(0, 17)))) == 17


def test_threshold_drops_channels_and_strength_counts_deviations() -> None:
    relevance, std = torch.tensor([0.05, -0.2, 0.4, 0.0]), torch.tensor([1.0, 2.0, 3.0, 4.0])
    torch.testing.assert_close(direction_of(relevance, std, 0.1), torch.tensor([0.0, -1.0, 3.0, 0.0]))
    assert not direction_of(relevance, std, 0.5).any()


def test_relevances_take_the_cards_threshold(tmp_path: Path) -> None:
    relevance = torch.linspace(0, 1, 6048)
    save_file({"relevance": relevance, "std": torch.full((6048,), 2.0)}, tmp_path / "bangs.safetensors")
    styles = load_styles(tmp_path / "bangs.safetensors", replace(CARD, threshold=0.5, layers=(0, 17)))
    moved = torch.cat(list(styles.values()))
    torch.testing.assert_close(moved, torch.where(relevance < 0.5, 0.0, 2 * relevance))


@pytest.mark.parametrize(
    ("card", "length", "error", "fault"),
    [
        (CARD, 9088, MissingError, "9088 style offsets, expected 5376 or 6048"),
        (replace(CARD, threshold=0.1), 6048, UsageError, "finished offsets take no threshold"),
        (replace(CARD, generator="lsun-car-512"), 6048, UsageError, "styles of lsun-car-512"),
    ],
)
def test_faults_are_named(tmp_path: Path, card: Card, length: int, error: type[Exception], fault: str) -> None:
    np.save(tmp_path / "bangs.npy", np.ones(length, np.float32))
    with pytest.raises(error, match=fault):
        load_styles(tmp_path / "bangs.npy", card)


def test_a_direction_of_styles_leaves_the_codes(tmp_path: Path) -> None:
    np.save(tmp_path / "bangs.npy", np.ones(6048, np.float32))
    direction = load_direction(CARD, lambda _: tmp_path / "bangs.npy", generator="ffhq-1024", latent_rows=18)
    assert not direction.delta(torch.randn(2, 18, 512), 3.0).any()


def _delta(generator: Generator, seed: int = 1) -> dict[int, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    widths = style_widths(generator.config)
    return {layer: 0.5 * torch.randn(widths[layer], generator=random) for layer in range(0, len(widths), 2)}


def test_moved_styles_equal_a_moved_affine_bias() -> None:
    generator: Any = seeded(Generator(GENERATOR), 1)
    codes = torch.randn(2, 10, 24, generator=torch.Generator().manual_seed(2))
    delta = _delta(generator)
    with torch.no_grad():
        moved = generator.advance(None, codes, style_delta=delta).rgb
        per_image = {layer: offset.expand(2, -1) for layer, offset in delta.items()}
        each = generator.advance(None, codes, style_delta=per_image).rgb
        plain = generator(codes)
        for layer, offset in delta.items():
            conv = generator.conv1 if layer == 0 else generator.convs[layer - 1]
            conv.conv.modulation.bias += offset
        torch.testing.assert_close(moved, generator(codes), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(each, moved, atol=1e-5, rtol=1e-5)
    assert float((moved - plain).abs().max()) > 0.1


@pytest.mark.parametrize("name", ["e4e", "hyperstyle"])
def test_methods_take_moved_styles(tmp_path: Path, name: str) -> None:
    method: Any = load_method(name, checkpoint=write_small(tmp_path, name, "faces"))
    with torch.inference_mode():
        inversion = method.invert(torch.rand(2, 3, *method.input_size) * 2 - 1)
        delta = _delta(method.generator)
        moved = method.edit(inversion, None, delta)
        for layer, offset in delta.items():
            conv = method.generator.conv1 if layer == 0 else method.generator.convs[layer - 1]
            conv.conv.modulation.bias += offset
        torch.testing.assert_close(moved, method.edit(inversion), atol=1e-4, rtol=1e-4)
