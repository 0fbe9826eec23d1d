"""HFGI: what the codes lose comes back through a residual, aligned to the edited image (hfgi card, section 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.core.checkpoint import load_part
from bench.core.contract import Domain, Inversion, announce, stage
from methods.checkpoint_parts import tensors_of
from methods.hfgi.names import ALIGNMENT, CONSULTATION, DECODER, ENCODER
from methods.hfgi.network import Alignment, Consultation, HfgiConfig, fuse, low_rate
from methods.nets.base import Canvas, LatentMethod, edited, latent_avg_of
from methods.nets.configs import from_dict
from methods.nets.pyramid import PyramidConfig, PyramidEncoder
from methods.nets.stylegan2 import Generator, GeneratorConfig, State, StyleDelta
from methods.registry import STYLE_RULES, Checkpoint, MethodEntry


@dataclass(frozen=True)
class HfgiInversion(Inversion):
    """Codes, the residual and the reconstruction up to the fusion.

    Attributes:
        residual: Input minus low-rate base image, (N, 3, h, w) of the input's size.
        features: Generator features of the codes with scale and shift applied, (N, C, s, s).
        rgb: The RGB skip below them.
    """

    residual: Tensor
    features: Tensor
    rgb: Tensor | None


class Hfgi(LatentMethod):
    """The method on given networks."""

    stages: tuple[str, ...] = ("encode", "base", "align", "consult", "synthesise")

    def __init__(
        self,
        name: str,
        canvas: Canvas,
        generator: Generator,
        encoder: PyramidEncoder,
        alignment: Alignment,
        consultation: Consultation,
        latent_avg: Tensor,
    ) -> None:
        super().__init__(name, canvas, generator, latent_avg)
        self.encoder, self.alignment, self.consultation = encoder, alignment, consultation

    def invert(self, images: Tensor) -> HfgiInversion:
        """Invert float32 (N, 3, *input_size) in [-1, 1]."""
        self.canvas.check(images)
        with stage("encode"):
            codes = self.encoder(images) + self.latent_avg
        prefix, low = self._base(codes)
        residual = images - low
        return HfgiInversion(codes, residual, self._fused(prefix, residual, low), prefix.rgb)

    def edit(self, inversion: Inversion, delta: Tensor | None = None, style_delta: StyleDelta | None = None) -> Tensor:
        """Images (N, 3, H, W); with `delta` the residual of the unedited codes is aligned to G(codes + delta)."""
        assert isinstance(inversion, HfgiInversion)
        codes, features, rgb = inversion.codes, inversion.features, inversion.rgb
        if delta is not None or style_delta is not None:
            codes = edited(codes, delta)
            prefix, low = self._base(codes, style_delta)
            features, rgb = self._fused(prefix, inversion.residual, low), prefix.rgb
        with stage("synthesise"):
            return self.synthesise(codes, State(features, rgb, self.consultation.config.fuse_after), style_delta)

    def _base(self, codes: Tensor, style_delta: StyleDelta | None = None) -> tuple[State, Tensor]:
        """The generator before the fusion, and the low-rate image (N, 3, *input_size) that it makes without one."""
        with stage("base"):
            until = self.consultation.config.fuse_after
            prefix = self.generator.advance(None, codes, until, style_delta=style_delta)
            image = self.synthesise(codes, prefix, style_delta)
            announce("base", image)
            return prefix, low_rate(image, self.input_size)

    def _fused(self, prefix: State, residual: Tensor, low: Tensor) -> Tensor:
        with stage("align"):
            aligned = self.alignment(residual, low)
            announce("aligned residual", aligned)
        with stage("consult"):
            scale, shift = self.consultation(aligned)
            announce("scale", scale)
            announce("shift", shift)
            return fuse(prefix.x, scale, shift)


def build(entry: MethodEntry, domain: Domain, checkpoints: Sequence[Checkpoint]) -> Hfgi:
    """From the authors' file or one of ours (the same tensor names; configs in the metadata).

    The encoder is the file's own, not e4e's: training let its running statistics drift.
    """
    file = checkpoints[0]
    tensors = tensors_of(file, (ENCODER, DECODER, ALIGNMENT, CONSULTATION, "latent_avg"), entry.name, domain)
    if file.metadata:
        config = file.metadata["config"]
        sizes = from_dict(PyramidConfig, config["encoder"])
        generator_sizes = from_dict(GeneratorConfig, config["generator"])
        own, average = from_dict(HfgiConfig, config["hfgi"]), tensors["latent_avg"]
    else:
        sizes, generator_sizes, own = PyramidConfig(), GeneratorConfig(), HfgiConfig()
        average = latent_avg_of(file.content, file.path)
    with torch.device("meta"):
        encoder, generator = PyramidEncoder(sizes), Generator(generator_sizes)
        alignment, consultation = Alignment(own), Consultation(own)
    for prefix, network in (
        (ENCODER, encoder),
        (DECODER, generator),
        (ALIGNMENT, alignment),
        (CONSULTATION, consultation),
    ):
        load_part(network, tensors, prefix, file.path)
    canvas = Canvas.of(domain, generator_sizes.size)
    return Hfgi(entry.name, canvas, generator, encoder, alignment, consultation, average)


METHODS = (
    MethodEntry(
        name="hfgi",
        build=build,
        files=("ckpt.pt, HFGI's face editing checkpoint",),
        edits=STYLE_RULES,
        title="HFGI",
        place=50,
        summary="HFGI (Wang et al. 2022): e4e codes and an aligned residual that modulates the generator",
        golden=("hfgi_ffhq",),
    ),
)
