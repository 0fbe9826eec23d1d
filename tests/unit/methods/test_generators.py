"""A generator comes out of every layout the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from bench.errors import MissingError
from bench.weights.load import write_safetensors
from methods.generators import load_discriminator, load_generator
from methods.nets.stylegan2 import Discriminator, DiscriminatorConfig, Generator
from tests.unit.methods.small import GENERATOR, seeded


@pytest.fixture(scope="module")
def generator() -> Any:
    return seeded(Generator(GENERATOR), 4).eval()


def content_of(layout: str, tensors: dict[str, torch.Tensor], average: torch.Tensor) -> dict[str, Any]:
    if layout == "rosinality":
        return {"g_ema": tensors, "latent_avg": average[0], "d": {}}
    prefix = "decoder.module." if layout == "parallel" else "decoder."
    return {"state_dict": {prefix + name: value for name, value in tensors.items()}, "latent_avg": average}


@pytest.mark.parametrize("layout", ["rosinality", "psp", "parallel", "ours"])
def test_every_layout_gives_the_same_pictures(layout: str, generator: Any, tmp_path: Path) -> None:
    tensors, average = dict(generator.state_dict()), torch.ones(10, 24)
    path = tmp_path / ("g.safetensors" if layout == "ours" else "g.pt")
    if layout == "ours":
        named = {f"decoder.{name}": value for name, value in tensors.items()}
        write_safetensors(path, {**named, "latent_avg": average}, {"method": "e4e"})
    else:
        torch.save(content_of(layout, tensors, average), path)
    loaded, mean = load_generator(path)
    assert loaded.config == GENERATOR
    assert torch.equal(mean, average)
    codes = torch.randn(1, 10, 24)
    assert torch.equal(loaded(codes), generator.requires_grad_(False)(codes))


def test_old_conversions_lack_buffers_and_still_give_one_picture(generator: Any, tmp_path: Path) -> None:
    kept = {k: v for k, v in generator.state_dict().items() if "noises" not in k and "kernel" not in k}
    torch.save({"g_ema": kept}, tmp_path / "g.pt")
    (first, mean), (second, _) = load_generator(tmp_path / "g.pt"), load_generator(tmp_path / "g.pt")
    codes = torch.randn(1, 10, 24)
    assert torch.equal(first(codes), second(codes))
    torch.testing.assert_close(first(codes, noise="none"), generator(codes, noise="none"))
    assert mean.shape == (10, 24)
    kept.pop("conv1.conv.modulation.bias")
    torch.save({"g_ema": kept}, tmp_path / "g.pt")
    with pytest.raises(MissingError, match=r"missing conv1\.conv\.modulation\.bias"):
        load_generator(tmp_path / "g.pt")


def test_discriminators_come_out_of_rosinality_files(tmp_path: Path) -> None:
    network = Discriminator(DiscriminatorConfig(size=32, channels={4: 12, 8: 12, 16: 8, 32: 6})).eval()
    torch.save({"d": network.state_dict()}, tmp_path / "d.pt")
    loaded = load_discriminator(tmp_path / "d.pt")
    pictures = torch.randn(4, 3, 32, 32)
    assert torch.equal(loaded(pictures), network.requires_grad_(False)(pictures))


def test_files_without_one_are_named(tmp_path: Path) -> None:
    torch.save({"state_dict": {"encoder.a": torch.ones(1)}}, tmp_path / "x.pt")
    with pytest.raises(MissingError, match="expected a file with a StyleGAN2 generator"):
        load_generator(tmp_path / "x.pt")
    with pytest.raises(MissingError, match="expected a file with a StyleGAN2 discriminator"):
        load_discriminator(tmp_path / "x.pt")
