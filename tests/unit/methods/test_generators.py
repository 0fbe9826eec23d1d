"""A generator comes out of every layout the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.core.checkpoint import read_checkpoint, write_safetensors
from bench.core.errors import MissingError
from methods.discriminators import load_discriminator, nvidia_names
from methods.generators import load_generator
from methods.nets.configs import to_dict
from methods.nets.stylegan2 import Discriminator, DiscriminatorConfig, Generator
from methods.registry import Checkpoint
from methods.styleres.bases import shared_generator
from tests.unit.methods.small import GENERATOR, nvidia_layout, seeded


@pytest.fixture(scope="module")
def generator() -> Any:
    return seeded(Generator(GENERATOR), 4).eval()


def content_of(layout: str, tensors: dict[str, torch.Tensor], average: torch.Tensor) -> dict[str, Any]:
    if layout == "rosinality":
        return {"g_ema": tensors, "latent_avg": average[0], "d": {}}
    prefix = "decoder.module." if layout == "parallel" else "decoder."
    return {"state_dict": {prefix + name: value for name, value in tensors.items()}, "latent_avg": average}


@pytest.mark.parametrize("layout", ["rosinality", "psp", "parallel", "ours"])
def test_every_layout_gives_the_same_images(layout: str, generator: Any, tmp_path: Path) -> None:
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


def test_old_conversions_lack_buffers_and_still_give_one_image(generator: Any, tmp_path: Path) -> None:
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


def styleres_file(generator: Generator, **changed: torch.Tensor) -> dict[str, Any]:
    layout = nvidia_layout(generator) | changed
    return {"e4e": {"latlayer1.weight": torch.ones(1)}, "generator_smooth": layout, "latent_avg": torch.ones(10, 24)}


def test_styleress_generator_keeps_its_bound_however_it_is_loaded(generator: Any, tmp_path: Path) -> None:
    path = tmp_path / "styleres.pth"
    torch.save(styleres_file(generator), path)
    loaded, mean = load_generator(path)
    shared = shared_generator([Checkpoint(path, read_checkpoint(path))])
    assert shared is not None
    assert loaded.config == shared.config == replace(GENERATOR, clamp=256.0)
    assert torch.equal(mean, torch.ones(10, 24))
    codes = torch.randn(1, 10, 24, generator=torch.Generator().manual_seed(1))
    for name, value in generator.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name]), name
    assert torch.equal(shared.requires_grad_(False)(codes), loaded(codes))


def test_a_shared_generator_may_be_an_old_conversion(generator: Any) -> None:
    kept = {k: v for k, v in generator.state_dict().items() if "noises" not in k and "kernel" not in k}
    shared = shared_generator([Checkpoint(Path("old.pt"), {"g_ema": kept})])
    assert shared is not None
    codes = torch.randn(1, 10, 24)
    torch.testing.assert_close(shared(codes, noise="none"), generator(codes, noise="none"))


def test_our_generator_is_built_from_its_configuration(generator: Any, tmp_path: Path) -> None:
    path = tmp_path / "g.safetensors"
    named = {f"decoder.{name}": value for name, value in generator.state_dict().items()}
    config = {"generator": to_dict(replace(GENERATOR, clamp=9.0))}
    write_safetensors(path, {**named, "latent_avg": torch.ones(24)}, {"method": "generator", "config": config})
    shared = shared_generator([Checkpoint(path, read_checkpoint(path))])
    assert shared is not None
    assert load_generator(path)[0].config.clamp == shared.config.clamp == 9.0


def test_tensors_of_nvidias_layout_are_named_as_in_the_file(generator: Any, tmp_path: Path) -> None:
    path = tmp_path / "styleres.pth"
    for change, said in (
        ({"mapping.embed.weight": torch.ones(24, 24)}, "unexpected generator_smooth.mapping.embed.weight"),
        ({"synthesis.b8.conv0.noise_strength": torch.ones(3)}, "b8.conv0.noise_strength has shape (3,), expected (1,)"),
        ({"synthesis.b16.torgb.bias": torch.ones(())}, "b16.torgb.bias has shape (), expected (1, 3, 1, 1)"),
        ({"mapping.w_avg": torch.ones(3)}, "generator_smooth.mapping.w_avg has shape (3,), expected (24,)"),
    ):
        torch.save(styleres_file(generator, **change), path)
        with pytest.raises(MissingError) as caught:
            load_generator(path)
        assert said in caught.value.what
    for lacking in ("synthesis.b8.conv0.weight", "synthesis.b32.torgb.bias", "synthesis.b4.resample_filter"):
        content = styleres_file(generator)
        del content["generator_smooth"][lacking]
        torch.save(content, path)
        with pytest.raises(MissingError, match=f"missing generator_smooth.{lacking}"):
            load_generator(path)


def test_discriminators_come_out_of_rosinality_files(tmp_path: Path) -> None:
    network = Discriminator(DiscriminatorConfig(size=32, channels={4: 12, 8: 12, 16: 8, 32: 6})).eval()
    torch.save({"d": network.state_dict()}, tmp_path / "d.pt")
    loaded = load_discriminator(tmp_path / "d.pt")
    images = torch.randn(4, 3, 32, 32)
    assert torch.equal(loaded(images), network.requires_grad_(False)(images))


def nvidia_file(network: Discriminator) -> dict[str, torch.Tensor]:
    """A discriminator's tensors under NVIDIA's names, with the filters that only stand there."""
    state, size = network.state_dict(), network.config.size
    layout = {theirs: state[ours] for theirs, ours in nvidia_names(size).items()}
    idle = [f"b{size}.fromrgb", "b4.conv", *(f"b{size >> k}{part}" for k in range(3) for part in ("", ".conv0"))]
    return layout | {f"{layer}.resample_filter": torch.ones(4, 4) / 16 for layer in idle}


def test_discriminators_come_out_of_nvidias_layout(tmp_path: Path) -> None:
    sizes = DiscriminatorConfig(size=32, channels={4: 12, 8: 12, 16: 8, 32: 6}, clamp=256.0)
    network = Discriminator(sizes).eval().requires_grad_(False)
    layout, images = nvidia_file(network), torch.randn(4, 3, 32, 32)
    beside = {"generator": {"x": torch.ones(1)}, "generator_smooth": {"x": torch.ones(1)}}
    for content in ({"discriminator": layout}, {"models": {"discriminator": layout, **beside}}):
        torch.save(content, tmp_path / "d.pth")
        loaded = load_discriminator(tmp_path / "d.pth")
        assert loaded.config == sizes
        assert torch.equal(loaded(images), network(images))
    for lacking in ("b32.conv0.weight", "b4.out.bias", "b16.skip.resample_filter", "b8.resample_filter"):
        torch.save({"discriminator": {k: v for k, v in layout.items() if k != lacking}}, tmp_path / "d.pth")
        with pytest.raises(MissingError, match=f"missing {lacking}"):
            load_discriminator(tmp_path / "d.pth")
    torch.save({"discriminator": {**layout, "mapping.fc0.weight": torch.ones(2)}}, tmp_path / "d.pth")
    with pytest.raises(MissingError, match=r"unexpected mapping\.fc0\.weight"):
        load_discriminator(tmp_path / "d.pth")


def test_a_layer_of_nvidias_is_bounded() -> None:
    sizes = DiscriminatorConfig(size=8, channels={4: 4, 8: 4}, clamp=256.0)
    bounded, free = Discriminator(sizes), Discriminator(replace(sizes, clamp=None))
    free.load_state_dict(bounded.state_dict())
    images = 1e4 * torch.randn(4, 3, 8, 8)
    assert not torch.allclose(bounded(images), free(images))
    assert bounded.convs[0](images).abs().max() <= 256


def test_files_without_one_are_named(tmp_path: Path) -> None:
    torch.save({"state_dict": {"encoder.a": torch.ones(1)}}, tmp_path / "x.pt")
    with pytest.raises(MissingError, match="expected a file with a StyleGAN2 generator"):
        load_generator(tmp_path / "x.pt")
    with pytest.raises(MissingError, match="expected a file with a StyleGAN2 discriminator"):
        load_discriminator(tmp_path / "x.pt")
