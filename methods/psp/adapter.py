"""pSp: one W+ row per style head (psp card). Also what pSp and e4e share: the pyramid encoder before a generator."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from bench.core.checkpoint import load_part
from bench.core.contract import Domain, Inversion, stage
from bench.core.domains import find_domain
from methods.checkpoint_parts import tensors_of
from methods.nets.base import Canvas, LatentMethod, latent_avg_of
from methods.nets.configs import from_dict
from methods.nets.pyramid import Encoded, PyramidConfig, PyramidEncoder, Wiring
from methods.nets.stylegan2 import Generator, GeneratorConfig
from methods.registry import STYLE_RULES, Checkpoint, MethodEntry


class PyramidMethod(LatentMethod):
    """A pyramid encoder and a generator: codes = encoder(x) + latent_avg, image = G(codes)."""

    def __init__(
        self, name: str, canvas: Canvas, encoder: PyramidEncoder, generator: Generator, latent_avg: Tensor
    ) -> None:
        super().__init__(name, canvas, generator, latent_avg)
        self.encoder = encoder

    @cached_property
    def base_digest(self) -> str:
        """Hex SHA-256 of all that decides `encode`: methods of one digest may run the encoder once for all of them."""
        whole = hashlib.sha256(repr((self.encoder.config, self.input_size)).encode())
        for name, value in [*sorted(self.encoder.state_dict().items()), ("latent_avg", self.latent_avg)]:
            if not name.endswith("num_batches_tracked"):
                whole.update(f"{name} {tuple(value.shape)}".encode() + value.cpu().contiguous().numpy().tobytes())
        return whole.hexdigest()

    def invert(self, images: Tensor) -> Inversion:
        """Invert float32 (N, 3, *input_size) in [-1, 1]."""
        return self.invert_from(images, self.invert_base(images))

    def invert_base(self, images: Tensor) -> Encoded:
        """What the encoder sees, for every method that is built on it."""
        return self.encode(images)

    def invert_from(self, images: Tensor, base: Encoded) -> Inversion:
        """The inversion of images whose `invert_base` is known."""
        return Inversion(base.codes)

    def encode(self, images: Tensor) -> Encoded:
        """Codes with latent_avg, and taps, of float32 (N, 3, *input_size) in [-1, 1]."""
        self.canvas.check(images)
        with stage("encode"):
            codes, taps = self.encoder.encode(images)
            return Encoded(codes + self.latent_avg, taps)


def build(entry: MethodEntry, domain: Domain, checkpoints: Sequence[Checkpoint]) -> PyramidMethod:
    """pSp or e4e (by the entry's name) from the authors' file or one of ours."""
    file = checkpoints[0]
    tensors = tensors_of(file, ("encoder.", "decoder.", "latent_avg"), entry.name, domain)
    if file.metadata:
        encoder, canvas, generator = _ours(file.metadata["config"], domain)
        average = tensors["latent_avg"]
    else:
        encoder, canvas, generator = _released(domain, "rows" if entry.name == "psp" else "deltas")
        average = latent_avg_of(file.content, file.path)
    return assemble(entry.name, tensors, str(file.path), encoder, canvas, generator, average)


def _released(domain: Domain, wiring: Wiring) -> tuple[PyramidConfig, Canvas, GeneratorConfig]:
    generator = GeneratorConfig.config_f(find_domain(domain).generator_size)
    return PyramidConfig(rows=generator.rows, wiring=wiring), Canvas.of(domain, generator.size), generator


def _ours(config: Mapping[str, Any], domain: Domain) -> tuple[PyramidConfig, Canvas, GeneratorConfig]:
    generator = from_dict(GeneratorConfig, config["generator"])
    return from_dict(PyramidConfig, config["encoder"]), Canvas.of(domain, generator.size), generator


def assemble(
    name: str,
    tensors: Mapping[str, Tensor],
    where: str,
    encoder_config: PyramidConfig,
    canvas: Canvas,
    generator_config: GeneratorConfig,
    average: Tensor,
    official: Callable[[str], str] = str,
) -> PyramidMethod:
    """The method of tensors named "encoder.*" and "decoder.*", loaded strictly; `official` gives the file's names."""
    with torch.device("meta"):
        encoder = PyramidEncoder(replace(encoder_config, rows=generator_config.rows))
        generator = Generator(generator_config)
    load_part(encoder, tensors, "encoder.", where, official)
    load_part(generator, tensors, "decoder.", where, official)
    return PyramidMethod(name, canvas, encoder, generator, average)


METHODS = (
    MethodEntry(
        name="psp",
        build=build,
        domains=("faces",),
        files=("psp_ffhq_encode.pt",),
        edits=STYLE_RULES,
        title="pSp",
        place=10,
        summary="pSp (Richardson et al. 2021): one W+ row per style head",
        golden=("psp_ffhq",),
    ),
)
