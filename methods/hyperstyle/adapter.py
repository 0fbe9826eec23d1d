"""HyperStyle: W codes, and weight offsets that tune the generator to the image (hyperstyle card, section 1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.core.checkpoint import load_part, refuse_strangers, state_dict_of
from bench.core.contract import Domain, Inversion, announce, stage
from bench.core.domains import find_domain
from bench.core.options import options_of
from methods.checkpoint_parts import one_of_each, tensors_of
from methods.hyperstyle.names import check_aliases, shared_tensors, tuned_layers
from methods.hyperstyle.network import HyperConfig, HyperNet, SharedBlock, WEncoder
from methods.nets.base import Canvas, LatentMethod, edited, latent_avg_of
from methods.nets.configs import from_dict
from methods.nets.stylegan2 import Generator, GeneratorConfig, StyleDelta
from methods.registry import STYLE_RULES, Checkpoint, MethodEntry

_PARTS = (("hyperstyle",), ("hyperstyle's W encoder",))


@dataclass(frozen=True)
class HyperInversion(Inversion):
    """W codes and the summed weight offsets.

    Attributes:
        offsets: Convolution layer -> (N, out, in, 3, 3) or (N, out, in, 1, 1), relative to the generator's weights.
    """

    offsets: Mapping[int, Tensor]


class HyperStyle(LatentMethod):
    """The method on given networks; latent_avg is the HyperStyle file's, not the W encoder file's."""

    stages: tuple[str, ...] = ("encode", "hypernet", "synthesise")

    def __init__(
        self,
        name: str,
        canvas: Canvas,
        w_encoder: WEncoder,
        hypernet: HyperNet,
        generator: Generator,
        latent_avg: Tensor,
        iterations: int,
    ) -> None:
        super().__init__(name, canvas, generator, latent_avg)
        self.w_encoder, self.hypernet, self.iterations = w_encoder, hypernet, iterations

    def invert(self, images: Tensor) -> HyperInversion:
        """Invert float32 (N, 3, *input_size) in [-1, 1]: codes of the W encoder, offsets summed over the iterations."""
        self.canvas.check(images)
        with stage("encode"):
            codes = self.w_encoder(images)[:, None] + self.latent_avg
        offsets: dict[int, Tensor] = {}
        for _ in range(self.iterations):
            image = self._feedback(codes, offsets)
            with stage("hypernet"):
                step = self.hypernet(torch.cat([images, image], 1))
                for layer, offset in step.items():
                    offsets[layer] = offsets[layer] + offset if layer in offsets else offset
                    announce(f"offset {layer}", offsets[layer])
        return HyperInversion(codes, offsets)

    def edit(self, inversion: Inversion, delta: Tensor | None = None, style_delta: StyleDelta | None = None) -> Tensor:
        """Images (N, 3, H, W); the offsets stay as they are, only the codes change."""
        assert isinstance(inversion, HyperInversion)
        with stage("synthesise"):
            return self._tuned(edited(inversion.codes, delta), inversion.offsets, style_delta)

    def _tuned(self, codes: Tensor, offsets: Mapping[int, Tensor], style_delta: StyleDelta | None = None) -> Tensor:
        rgb = self.generator.advance(None, codes, offsets=offsets, style_delta=style_delta).rgb
        assert rgb is not None
        return self.canvas.crop(rgb)

    def _feedback(self, codes: Tensor, offsets: Mapping[int, Tensor]) -> Tensor:
        with stage("synthesise"):
            full = self._tuned(codes, offsets)
            announce("picture", full)
            return F.adaptive_avg_pool2d(full, self.input_size)


def build(entry: MethodEntry, domain: Domain, checkpoints: Sequence[Checkpoint]) -> HyperStyle:
    """From the authors' two files in any order (HyperStyle's and its W encoder's), or one of ours."""
    if checkpoints[0].metadata:
        return _ours(entry.name, domain, checkpoints[0])
    main, w_file = one_of_each(checkpoints, _PARTS, entry.name, domain)
    named, encoder = state_dict_of(main.content), state_dict_of(w_file.content)
    refuse_strangers(named, ("hypernet.", "decoder."), main.path)
    # The W encoder's file has a decoder and a latent_avg too; the authors' code throws them away.
    refuse_strangers(encoder, ("encoder.", "decoder."), w_file.path)
    config = HyperConfig(tuned=tuned_layers(named, options_of(main.content), main.path))
    size = find_domain(domain).generator_size
    networks = _networks(config, GeneratorConfig.config_f(size), Canvas.of(domain, size))
    hypernet = networks.hypernet
    square = [index for index, block in hypernet.refinement_blocks.items() if isinstance(block, SharedBlock)]
    check_aliases(named, square, hypernet.shared_weight_hypernet.state_dict(), str(main.path))
    average = latent_avg_of(main.content, main.path)
    return _assembled(
        entry.name, networks, config, _Part(shared_tensors(named), main.path), _Part(encoder, w_file.path), average
    )


def _ours(name: str, domain: Domain, file: Checkpoint) -> HyperStyle:
    tensors = tensors_of(file, ("encoder.", "hypernet.", "decoder.", "latent_avg"), name, domain)
    given = file.metadata["config"]
    config, sizes = from_dict(HyperConfig, given["hyper"]), from_dict(GeneratorConfig, given["generator"])
    networks = _networks(config, sizes, Canvas.of(domain, sizes.size))
    part = _Part(tensors, file.path)
    return _assembled(name, networks, config, part, part, tensors["latent_avg"])


class _Networks(NamedTuple):
    canvas: Canvas
    w_encoder: WEncoder
    hypernet: HyperNet
    generator: Generator


class _Part(NamedTuple):
    tensors: Mapping[str, Tensor]
    path: Path


def _networks(config: HyperConfig, sizes: GeneratorConfig, canvas: Canvas) -> _Networks:
    with torch.device("meta"):
        encoder = WEncoder(config.w_encoder, sizes.style_dim)
        return _Networks(canvas, encoder, HyperNet(config, sizes, canvas.input_size[1]), Generator(sizes))


def _assembled(
    name: str, networks: _Networks, config: HyperConfig, main: _Part, encoder: _Part, average: Tensor
) -> HyperStyle:
    """The method of `main` ("hypernet.*", "decoder.*") and `encoder` ("encoder.*")."""
    load_part(networks.w_encoder, encoder.tensors, "encoder.", encoder.path)
    load_part(networks.hypernet, main.tensors, "hypernet.", main.path)
    load_part(networks.generator, main.tensors, "decoder.", main.path)
    return HyperStyle(name, *networks, average, config.iterations)


METHODS = (
    MethodEntry(
        name="hyperstyle",
        build=build,
        domains=("faces", "cars"),
        files=("hyperstyle_ffhq.pt or hyperstyle_cars.pt", "its W encoder: faces_w_encoder.pt or cars_w_encoder.pt"),
        edits=STYLE_RULES,
        title="HyperStyle",
        place=40,
        summary="HyperStyle (Alaluf et al. 2022): W codes and generator weights tuned by a hypernetwork",
        golden=("hyperstyle_ffhq", "hyperstyle_cars"),
    ),
)
