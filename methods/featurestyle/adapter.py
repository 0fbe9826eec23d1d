"""FeatureStyle: codes for the look, a 16 px feature map for the detail (feature_style card, section 5).

The feature map replaces the generator's own before the 32 px up-convolution; an edit moves it by what the edit changes
in the generator's own map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.core.checkpoint import load_part, load_strict, refuse_strangers, state_dict_of
from bench.core.contract import Domain, Inversion, stage
from methods.checkpoint_parts import tensors_of
from methods.featurestyle.names import DECODER, ENCODER, sort_files
from methods.featurestyle.network import FeatureEncoderConfig, FeatureStyleEncoder
from methods.nets.base import Canvas, LatentMethod, edited, latent_avg_of
from methods.nets.configs import from_dict
from methods.nets.stylegan2 import Generator, GeneratorConfig, State, StyleDelta
from methods.registry import STYLE_RULES, Checkpoint, MethodEntry


@dataclass(frozen=True)
class FeatureStyleInversion(Inversion):
    """Codes and what the insertion point needs.

    Attributes:
        features: F (N, C, s, s), read off the image (512 x 16 x 16 in the released network).
        own: G(codes)'s map at the same place, (N, C, s, s).
        rgb: The RGB skip below it, (N, 3, s, s); it never sees F.
    """

    features: Tensor
    own: Tensor
    rgb: Tensor | None


class FeatureStyle(LatentMethod):
    """The method on given networks; `canvas.input_size` is the image before the encoder halves it."""

    stages: tuple[str, ...] = ("encode", "feature", "synthesise")

    def __init__(
        self, name: str, canvas: Canvas, generator: Generator, encoder: FeatureStyleEncoder, latent_avg: Tensor
    ) -> None:
        super().__init__(name, canvas, generator, latent_avg)
        self.encoder = encoder

    def invert(self, images: Tensor) -> FeatureStyleInversion:
        """Invert float32 (N, 3, *input_size) in [-1, 1]."""
        self.canvas.check(images)
        with stage("encode"):
            rows, features = self.encoder(self.encoder.shrink(images))
            codes = rows + self.latent_avg
        with stage("feature"):
            own = self._own(codes)
        return FeatureStyleInversion(codes, features, own.x, own.rgb)

    def edit(self, inversion: Inversion, delta: Tensor | None = None, style_delta: StyleDelta | None = None) -> Tensor:
        """Images (N, 3, H, W); with `delta`, F' = F + G(codes + delta)'s map - G(codes)'s map takes F's place."""
        assert isinstance(inversion, FeatureStyleInversion)
        codes, features, rgb = inversion.codes, inversion.features, inversion.rgb
        if delta is not None or style_delta is not None:
            codes = edited(codes, delta)
            with stage("feature"):
                own = self._own(codes, style_delta)
                features, rgb = self.moved_features(inversion, own.x), own.rgb
        with stage("synthesise"):
            return self.synthesise(codes, State(features, rgb, self.encoder.config.insert_at), style_delta)

    @staticmethod
    def moved_features(inversion: FeatureStyleInversion, own: Tensor) -> Tensor:
        """F' (N, C, s, s): F plus the change of the generator's own map from the image's codes to edited ones."""
        return inversion.features + (own - inversion.own)

    def _own(self, codes: Tensor, style_delta: StyleDelta | None = None) -> State:
        return self.generator.advance(None, codes, self.encoder.config.insert_at, style_delta=style_delta)


def build(entry: MethodEntry, domain: Domain, checkpoints: Sequence[Checkpoint]) -> FeatureStyle:
    """From the authors' two files in any order, or one of ours ("encoder.*", "decoder.*", "latent_avg")."""
    if checkpoints[0].metadata:
        return _ours(entry, domain, checkpoints[0])
    own, generator_file = sort_files(checkpoints, domain)
    with torch.device("meta"):
        encoder, generator = FeatureStyleEncoder(), Generator()
    load_strict(encoder, state_dict_of(own.content), str(own.path))
    tensors = state_dict_of(generator_file.content)
    # pSp's own encoder may be there; it is not used.
    refuse_strangers(tensors, (ENCODER, DECODER), generator_file.path)
    load_part(generator, tensors, DECODER, generator_file.path)
    average = latent_avg_of(generator_file.content, generator_file.path)
    return FeatureStyle(entry.name, _canvas(domain, generator), generator, encoder, average)


def _ours(entry: MethodEntry, domain: Domain, file: Checkpoint) -> FeatureStyle:
    tensors, config = tensors_of(file, (ENCODER, DECODER, "latent_avg"), entry.name, domain), file.metadata["config"]
    with torch.device("meta"):
        encoder = FeatureStyleEncoder(from_dict(FeatureEncoderConfig, config["encoder"]))
        generator = Generator(from_dict(GeneratorConfig, config["generator"]))
    load_part(encoder, tensors, ENCODER, file.path)
    load_part(generator, tensors, DECODER, file.path)
    return FeatureStyle(entry.name, _canvas(domain, generator), generator, encoder, tensors["latent_avg"])


def _canvas(domain: Domain, generator: Generator) -> Canvas:
    # The image goes in at the generator's own size; the encoder shrinks it.
    return Canvas.of(domain, generator.config.size, input_width=generator.config.size)


METHODS = (
    MethodEntry(
        name="featurestyle",
        build=build,
        files=("143_enc.pth, the encoder", "psp_ffhq_encode.pt, pSp's checkpoint (its generator is used)"),
        edits=STYLE_RULES,
        title="FeatureStyle",
        place=70,
        summary="FeatureStyle (Yao et al. 2022): codes and a 16 px feature map that replaces the generator's",
        golden=("feature_style_ffhq",),
    ),
)
