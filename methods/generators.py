"""A StyleGAN2 generator out of any file that holds one, whatever its layout (stylegan2 card 6)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.core.checkpoint import load_strict, read_checkpoint, state_dict_of, take
from bench.core.errors import MissingError
from bench.core.signature import recognise
from methods.nets.base import average_rows
from methods.nets.configs import from_dict
from methods.nets.memory import keep_pages
from methods.nets.stylegan2 import Generator, GeneratorConfig
from methods.nets.stylegan2.layers import fir_kernel


@dataclass(frozen=True)
class Found:
    """A generator's tensors in a file.

    Attributes:
        tensors: With rosinality's names.
        average: The mean w in one of the shapes `average_rows` knows, where the file has it.
        config: Sizes and clamp.
        official: The name in the file of one of the tensors, for messages.
    """

    tensors: Mapping[str, Tensor]
    average: Tensor | None
    config: GeneratorConfig
    official: Callable[[str], str] = str


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
    found = find_generator(content, path)
    if found is None:
        raise MissingError(f"{path} looks like {recognise(content)}; expected a file with a StyleGAN2 generator")
    generator = built(found, path).eval().requires_grad_(False).to(device)
    average = generator.mean_latent(10_000) if found.average is None else found.average
    return generator, average_rows(average, found.config.rows).clone().to(device)


def find_generator(content: Mapping[str, Any], where: object) -> Found | None:
    """The generator in a checkpoint as `read_checkpoint` gives it, or None.

    Raises:
        MissingError: Tensors missing that say how large it is, or, in the released StyleRes file, any of its own.
    """
    average = content.get("latent_avg")
    if isinstance(content.get("generator_smooth"), Mapping):
        return _nvidia(content["generator_smooth"], average, where)
    if isinstance(content.get("g_ema"), Mapping):
        tensors, prefix = dict(content["g_ema"]), ""
    else:
        named = state_dict_of(content)
        prefix = "decoder.module." if take(named, "decoder.module.") else "decoder."
        tensors, average = take(named, prefix), named.get("latent_avg", average)
        if not any(name.startswith("to_rgbs.") for name in tensors):
            return None
    given = content.get("metadata", {}).get("config", {}).get("generator")
    config = from_dict(GeneratorConfig, given) if given else config_of(tensors, where, prefix.__add__)
    return Found(tensors, average, config, prefix.__add__)


def _nvidia(named: Mapping[str, Tensor], average: Tensor | None, where: object) -> Found:
    from methods.styleres.names import RELEASED_CLAMP, check_unused, generator_tensors, official_name

    def official(name: str) -> str:
        return official_name(f"decoder.{name}")

    tensors = generator_tensors(named)
    config = replace(config_of(tensors, where, official), clamp=RELEASED_CLAMP)
    check_unused(named, config.size, config.style_dim, where)
    return Found(tensors, average, config, official)


def built(found: Found, where: object) -> Generator:
    """The generator, loaded strictly but for the buffers that older files lack."""
    with torch.device("meta"):
        generator = Generator(found.config)
    load_strict(generator, {**_buffers(generator), **found.tensors}, f"{where}: generator", found.official)
    return generator


def config_of(
    tensors: Mapping[str, Tensor], where: object = "the file", official: Callable[[str], str] = str
) -> GeneratorConfig:
    """Sizes of a generator with rosinality's tensor names.

    Raises:
        MissingError: A tensor that says a size is missing, or is no convolution's or linear layer's weight.
    """

    def width(name: str, axis: int) -> int:
        value = tensors.get(name)
        if value is None or value.ndim <= axis:
            said = "missing" if value is None else f"shape {tuple(value.shape)} of"
            raise MissingError(f"{where}: generator does not fit: {said} {official(name)}")
        return value.shape[axis]

    blocks = 1 + max((int(found[1]) for name in tensors if (found := re.match(r"to_rgbs\.(\d+)\.", name))), default=0)
    channels = {4: width("conv1.conv.weight", 1)}
    for block in range(blocks):
        channels[8 << block] = width(f"convs.{2 * block}.conv.weight", 1)
    layers = max((int(found[1]) for name in tensors if (found := re.match(r"style\.(\d+)\.", name))), default=1)
    return GeneratorConfig(4 << blocks, width("conv1.conv.modulation.weight", 1), layers, channels)


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
