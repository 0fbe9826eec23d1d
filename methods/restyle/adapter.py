"""ReStyle over e4e or pSp: codes refined by looking at the input and the current reconstruction (restyle card 4)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.core.checkpoint import load_part
from bench.core.contract import Domain, Inversion, announce, stage
from bench.core.domains import find_domain
from methods.checkpoint_parts import tensors_of
from methods.nets.base import Canvas, LatentMethod, latent_avg_of
from methods.nets.configs import from_dict
from methods.nets.pyramid import Wiring
from methods.nets.resnet34 import ResNetConfig
from methods.nets.stylegan2 import Generator, GeneratorConfig
from methods.registry import STYLE_RULES, Checkpoint, MethodEntry
from methods.restyle.network import RestyleConfig, RestyleEncoder, restyle_encoder


class Restyle(LatentMethod):
    """The refinement loop: codes += encoder(input, image), `iterations` times, from latent_avg and its image."""

    def __init__(
        self,
        name: str,
        canvas: Canvas,
        encoder: RestyleEncoder,
        generator: Generator,
        latent_avg: Tensor,
        iterations: int,
    ) -> None:
        super().__init__(name, canvas, generator, latent_avg)
        self.encoder, self.iterations = encoder, iterations
        self._average_image: Tensor | None = None

    def average_image(self) -> Tensor:
        """The image of latent_avg at input size, (1, 3, *input_size); made once, the checkpoint decides it."""
        device = self.latent_avg.device
        if self._average_image is None or self._average_image.device != device:
            # It outlives the call that makes it, so it must not keep that call's rounding.
            with torch.autocast(device.type, enabled=False):
                self._average_image = self._feedback(self.latent_avg[None])
        return self._average_image

    def invert(self, images: Tensor) -> Inversion:
        """Invert float32 (N, 3, *input_size) in [-1, 1]; announces "codes" (N, L, D) after each iteration."""
        self.canvas.check(images)
        image = self.average_image().expand_as(images)
        codes = self.latent_avg.expand(len(images), -1, -1)
        for step in range(self.iterations):
            with stage("encode"):
                codes = codes + self.encoder(torch.cat([images, image], 1))
                announce("codes", codes)
            # The last step's image is the reconstruction, made by `edit`.
            if step < self.iterations - 1:
                image = self._feedback(codes)
        return Inversion(codes)

    def _feedback(self, codes: Tensor) -> Tensor:
        with stage("synthesise"):
            full = self.synthesise(codes)
            announce("picture", full)
            # Not clamped: the encoder was trained on what the generator gives.
            return F.adaptive_avg_pool2d(full, self.input_size)


def build(entry: MethodEntry, domain: Domain, checkpoints: Sequence[Checkpoint]) -> Restyle:
    """From the authors' file or one of ours; "restyle" is over e4e, "restyle-psp" over pSp."""
    file = checkpoints[0]
    tensors = tensors_of(file, ("encoder.", "decoder.", "latent_avg"), entry.name, domain)
    if file.metadata:
        given = file.metadata["config"]
        config, sizes = from_dict(RestyleConfig, given["encoder"]), from_dict(GeneratorConfig, given["generator"])
        average = tensors["latent_avg"]
    else:
        sizes = GeneratorConfig.config_f(find_domain(domain).generator_size)
        config = _released(entry.name, domain, sizes.rows)
        average = latent_avg_of(file.content, file.path)
    with torch.device("meta"):
        encoder, generator = restyle_encoder(config), Generator(sizes)
    load_part(encoder, tensors, "encoder.", file.path)
    load_part(generator, tensors, "decoder.", file.path)
    return Restyle(entry.name, Canvas.of(domain, sizes.size), encoder, generator, average, config.iterations)


def _released(name: str, domain: Domain, rows: int) -> RestyleConfig:
    wiring: Wiring = "rows" if name == "restyle-psp" else "deltas"
    if domain == "faces":
        return RestyleConfig(rows=rows, wiring=wiring)
    return RestyleConfig(irse=None, resnet=ResNetConfig(), rows=rows, wiring=wiring)


METHODS = (
    MethodEntry(
        name="restyle",
        build=build,
        domains=("faces", "cars"),
        files=("restyle_e4e_ffhq_encode.pt, or the cars one",),
        edits=STYLE_RULES,
        title="ReStyle",
        place=30,
        summary="ReStyle over e4e (Alaluf et al. 2021): five rounds of residual encoding",
        golden=("restyle_e4e_ffhq", "restyle_e4e_cars"),
    ),
    MethodEntry(
        name="restyle-psp",
        build=build,
        domains=("faces", "cars"),
        files=("restyle_psp_ffhq_encode.pt or restyle_psp_cars_encode.pt",),
        edits=STYLE_RULES,
        title="ReStyle (pSp)",
        place=35,
        summary="ReStyle over pSp (Alaluf et al. 2021): the same loop, harder to edit",
        golden=("restyle_psp_ffhq",),
    ),
)
