"""A StyleGAN2 generator or discriminator out of any file that holds one, whatever its layout (stylegan2 card 6)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.errors import MissingError
from bench.weights.load import load_strict, read_checkpoint, state_dict_of, take
from bench.weights.signature import recognise
from methods.canvas import average_rows
from methods.nets.memory import keep_pages
from methods.nets.stylegan2 import Discriminator, DiscriminatorConfig, Generator, GeneratorConfig
from methods.nets.stylegan2.layers import fir_kernel


def load_generator(path: str | Path, device: str | torch.device = "cpu") -> tuple[Generator, Tensor]:
    """The generator of a checkpoint and its mean w, (L, D), in eval mode without gradients.

    Takes rosinality's files ("g_ema"), every encoder file of the pSp family ("decoder."), StyleRes's (NVIDIA's layout)
    and ours. Sizes are read from the tensors.

    Raises:
        MissingError: A file without a generator, or with tensors missing. Noise buffers and FIR kernels alone may be
            absent (older conversions of rosinality's file): the kernels are known, the noise comes from a fixed seed.
    """
    keep_pages()
    content = read_checkpoint(path)
    tensors, average = _generator_tensors(content)
    if not tensors:
        raise MissingError(f"{path} looks like {recognise(content)}; expected a file with a StyleGAN2 generator")
    config = config_of(tensors)
    with torch.device("meta"):
        generator = Generator(config)
    load_strict(generator, {**_buffers(generator), **tensors}, f"{path}: generator")
    generator = generator.eval().requires_grad_(False).to(device)
    if average is None:
        average = generator.mean_latent(10_000)
    return generator, average_rows(average, config.rows).clone().to(device)


def load_discriminator(path: str | Path, device: str | torch.device = "cpu") -> Discriminator:
    """The discriminator of a rosinality file ("d"), or one of ours ("discriminator."), in eval mode.

    Raises:
        MissingError: A file without a discriminator, or with tensors missing or unexpected.
    """
    content = read_checkpoint(path)
    tensors = dict(content.get("d") or take(state_dict_of(content), "discriminator."))
    if not tensors:
        raise MissingError(f"{path} looks like {recognise(content)}; expected a file with a StyleGAN2 discriminator")
    blocks = [int(found[1]) for name in tensors if (found := re.match(r"convs\.(\d+)\.", name))]
    size = 4 << max(blocks)
    channels = {size >> (block - 1): tensors[f"convs.{block}.conv1.0.weight"].shape[1] for block in set(blocks) - {0}}
    channels[4] = tensors["final_conv.0.weight"].shape[0]
    with torch.device("meta"):
        network = Discriminator(DiscriminatorConfig(size=size, channels=channels))
    load_strict(network, tensors, f"{path}: discriminator")
    return network.eval().requires_grad_(False).to(device)


def config_of(tensors: Mapping[str, Tensor]) -> GeneratorConfig:
    """Sizes of a generator with rosinality's tensor names."""
    blocks = 1 + max(int(found[1]) for name in tensors if (found := re.match(r"to_rgbs\.(\d+)\.", name)))
    channels = {4: tensors["conv1.conv.weight"].shape[1]}
    for block in range(blocks):
        channels[8 << block] = tensors[f"convs.{2 * block}.conv.weight"].shape[1]
    layers = [int(found[1]) for name in tensors if (found := re.match(r"style\.(\d+)\.weight", name))]
    style_dim = tensors["conv1.conv.modulation.weight"].shape[1]
    return GeneratorConfig(4 << blocks, style_dim, max(layers), channels)


def _generator_tensors(content: Mapping[str, Any]) -> tuple[dict[str, Tensor], Tensor | None]:
    """Tensors with rosinality's names, and the mean w where the file has it."""
    average = content.get("latent_avg")
    if "g_ema" in content:
        return dict(content["g_ema"]), average
    if "generator_smooth" in content:
        from methods.styleres.names import generator_tensors

        return generator_tensors(content["generator_smooth"]), average
    tensors = state_dict_of(content)
    average = tensors.get("latent_avg", average)
    decoder = take(tensors, "decoder.module.") or take(tensors, "decoder.")
    return decoder if "conv1.conv.weight" in decoder else {}, average


def _buffers(generator: Generator) -> dict[str, Tensor]:
    """What older files lack: FIR kernels with the gain of an up-sampling, and noise of a fixed seed."""
    random = torch.Generator().manual_seed(0)
    found = {}
    for name, value in generator.state_dict().items():
        if name.endswith(".kernel"):
            found[name] = fir_kernel(4.0)
        elif name.startswith("noises."):
            found[name] = torch.randn(value.shape, generator=random)
    return found
