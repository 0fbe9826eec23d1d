"""StyleTransformer: one pass of queries over the image's features gives the codes (style_transformer card)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from bench.core.checkpoint import load_strict, take
from bench.core.contract import Domain, Inversion, stage
from bench.core.domains import find_domain
from bench.core.options import options_of
from methods.checkpoint_parts import tensors_of
from methods.nets.base import Canvas, LatentMethod, latent_avg_of
from methods.nets.configs import from_dict
from methods.nets.pyramid import Encoded
from methods.nets.stylegan2 import Generator, GeneratorConfig
from methods.registry import STYLE_RULES, Checkpoint, MethodEntry
from methods.styletransformer.names import encoder_names, official_names, unwrapped
from methods.styletransformer.network import StyleTransformerEncoder, TransformerConfig, queries

MAPPING = "mapping."  # tensors of the mapping network in our files


class StyleTransformer(LatentMethod):
    """The method on given networks. The generator's mapping network was trained along: it makes the queries."""

    def __init__(
        self, name: str, canvas: Canvas, generator: Generator, encoder: StyleTransformerEncoder, latent_avg: Tensor
    ) -> None:
        super().__init__(name, canvas, generator, latent_avg)
        self.encoder = encoder

    def invert(self, images: Tensor) -> Inversion:
        """Invert float32 (N, 3, *input_size) in [-1, 1]."""
        return Inversion(self.encode(images).codes)

    def encode(self, images: Tensor) -> Encoded:
        """Codes with latent_avg, and taps, of float32 (N, 3, *input_size) in [-1, 1]."""
        self.canvas.check(images)
        with stage("encode"):
            rows, taps = self.encoder.encode(images, queries(self.encoder.tokens.z, self.generator.mapping))
        # A file may carry more tokens than the generator has rows; all attend to each other, the first ones are read.
        return Encoded(rows[:, : self.latent_rows] + self.latent_avg, taps)


def build(entry: MethodEntry, domain: Domain, checkpoints: Sequence[Checkpoint]) -> StyleTransformer:
    """From the authors' file or one of ours ("encoder.*", "decoder.*", "latent_avg"; configs in the metadata).

    Ours hold the mapping network that was trained along apart ("mapping.*"): the synthesis is a generator's they share.
    """
    file = checkpoints[0]
    tensors = tensors_of(file, ("encoder.", "decoder.", "latent_avg", MAPPING), entry.name, domain)
    encoder_tensors = encoder_names(take(tensors, "encoder."))
    if file.metadata:
        config = file.metadata["config"]
        sizes = from_dict(TransformerConfig, config["encoder"])
        generator_sizes = from_dict(GeneratorConfig, config["generator"])
        average = tensors["latent_avg"]
    else:
        sizes, generator_sizes = (
            _released(encoder_tensors),
            GeneratorConfig.config_f(find_domain(domain).generator_size),
        )
        average = latent_avg_of(file.content, file.path)
        if not options_of(file.content).get("start_from_latent_avg", True):
            average = torch.zeros_like(average)
    with torch.device("meta"):
        encoder, generator = StyleTransformerEncoder(sizes), Generator(generator_sizes)
    official = official_names(tensors)
    decoder_tensors = unwrapped(take(tensors, "decoder."))
    load_strict(encoder, encoder_tensors, f"{file.path}: encoder", lambda name: official(f"encoder.{name}"))
    load_strict(generator, decoder_tensors, f"{file.path}: decoder", lambda name: official(f"decoder.{name}"))
    if mapping := take(tensors, MAPPING):
        load_strict(generator.style, mapping, f"{file.path}: mapping")
    canvas = Canvas.of(domain, generator_sizes.size)
    return StyleTransformer(entry.name, canvas, generator, encoder, average)


def _released(tensors: Mapping[str, Tensor]) -> TransformerConfig:
    # The published code says 18 tokens everywhere, the released car file holds as many as it has rows: ask the file.
    tokens = tensors.get("tokens.z")
    return TransformerConfig() if tokens is None else TransformerConfig(tokens=tokens.shape[1])


METHODS = (
    MethodEntry(
        name="styletransformer",
        build=build,
        domains=("faces", "cars"),
        files=("the faces or cars checkpoint of StyleTransformer",),
        edits=STYLE_RULES,
        title="StyleTransformer",
        place=60,
        summary="StyleTransformer (Hu et al. 2022): queries attend to the image's features, coarse to fine",
        golden=("style_transformer_ffhq", "style_transformer_cars"),
    ),
)
