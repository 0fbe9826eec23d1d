"""Base encoders E_0 of residual methods on the world: e4e, pSp, StyleTransformer, as their own trainings left them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from bench.core.checkpoint import load_strict, read_checkpoint, state_dict_of, take
from methods.nets.configs import from_dict
from methods.nets.pyramid import Encoded, PyramidConfig, PyramidEncoder
from methods.nets.stylegan2 import Generator
from methods.styletransformer.adapter import MAPPING
from methods.styletransformer.network import StyleTransformerEncoder, TransformerConfig, queries
from methods.training.world import find, load_generator

BaseName = Literal["e4e", "psp", "styletransformer"]
BASES: tuple[BaseName, ...] = get_args(BaseName)


class QueriedEncoder(nn.Module):
    """StyleTransformer's encoder with its queries made once, by its own mapping network."""

    def __init__(self, encoder: StyleTransformerEncoder, query: Tensor) -> None:
        super().__init__()
        self.encoder = encoder
        self.register_buffer("query", query)
        self.query: Tensor

    def encode(self, images: Tensor) -> Encoded:
        """Codes without the mean w, and taps."""
        return self.encoder.encode(images, self.query)


BaseEncoder = PyramidEncoder | QueriedEncoder


def load_base_encoder(name: BaseName, runs: Path, device: torch.device | str = "cpu") -> BaseEncoder:
    """A base encoder of the training runs, else the shipped one: frozen, in eval mode; codes lack the mean w."""
    content = read_checkpoint(find(f"{name}.safetensors", runs))
    tensors, config = state_dict_of(content), content["metadata"]["config"]
    encoder: BaseEncoder
    if name == "styletransformer":
        encoder = _with_queries(tensors, config, load_generator(runs)[0])
    else:
        encoder = PyramidEncoder(from_dict(PyramidConfig, config["encoder"]))
        load_strict(encoder, take(tensors, "encoder."), f"{name}.safetensors")
    return encoder.eval().requires_grad_(False).to(device)


@torch.no_grad()
def _with_queries(
    tensors: dict[str, Tensor], config: dict[str, dict[str, object]], generator: Generator
) -> QueriedEncoder:
    encoder = StyleTransformerEncoder(from_dict(TransformerConfig, config["encoder"]))
    load_strict(encoder, take(tensors, "encoder."), "styletransformer.safetensors")
    # Its generator's mapping network was trained along; the synthesis is the world's.
    load_strict(generator.style, take(tensors, MAPPING), "styletransformer.safetensors")
    return QueriedEncoder(encoder, queries(encoder.tokens.z, generator.mapping))


def parts_of(name: BaseName) -> list[str]:
    """The files that a method on a base is loaded from, beside its own."""
    return ["generator.safetensors", f"{name}.safetensors"]
