"""StyleCLIP's global directions: offsets of the generator's styles (edits card, section 2).

A style is what the affine layer of a convolution makes of its code row: one number a channel. Two kinds of file are
read: finished offsets (.npy), and what the offsets are made of (.safetensors with "relevance" and "std", written by
`edits text`), which still takes the disentanglement threshold. To-RGB layers are never moved.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from bench.core.errors import MissingError, UsageError
from bench.edits.cards import Card
from bench.edits.direction_files import read_file, read_tensor
from methods.nets.stylegan2 import GeneratorConfig

# Both scripts of the family (HyperStyle's and StyleRes') move the layers up to 128 px only.
APPLIED_LAYERS = 11


def style_widths(config: GeneratorConfig) -> list[int]:
    """Channels of each convolution layer's style: 17 numbers, 6,048 together, for the 1024 px generator."""
    sides = [config.layer_size(layer) for layer in range(config.layers)]
    # A layer's style scales its input: at every up-sampling that is the width of the size below.
    return [config.channels[4 if layer == 0 else sides[layer - 1]] for layer in range(config.layers)]


def load_styles(path: Path, card: Card) -> dict[int, Tensor]:
    """Convolution layer -> float32 (C,): what strength 1 adds to its style, for the layers of the card that move.

    Raises:
        UsageError: The card is for a generator whose style widths are not known, or asks for a threshold on finished
            offsets.
        MissingError: The file is absent, damaged, or of another length.
    """
    widths = style_widths(_config(card))
    content = read_file(path)
    if isinstance(content, Mapping):
        relevance, std = read_tensor(path, "relevance").flatten(), read_tensor(path, "std").flatten()
        if len(std) != len(relevance):
            raise MissingError(f"{path}: {len(relevance)} relevances and {len(std)} deviations do not fit together")
        offsets = direction_of(relevance, std, card.threshold)
    else:
        if card.threshold:
            raise UsageError(
                f"{path}: finished offsets take no threshold; the edit {card.name!r} asks for {card.threshold}",
                "leave threshold out of the card, or make a .safetensors file with `edits text`",
            )
        offsets = read_tensor(path).flatten()
    first, last = card.layers or (0, APPLIED_LAYERS)
    return {layer: part for layer, part in _by_layer(offsets, widths, path).items() if first <= layer < last}


def direction_of(relevance: Tensor, std: Tensor, threshold: float) -> Tensor:
    """Offsets of strength 1: relevances below the threshold dropped, the largest scaled to 1, times the deviations.

    Strength is then the number of deviations that the most relevant channel moves by.

    Args:
        relevance: (S,), how much each style channel moves the image towards the text.
        std: (S,), deviation of each channel over samples.
        threshold: Disentanglement: channels with a smaller |relevance| stay as they are (0.08 to 0.3 in use).
    """
    kept = torch.where(relevance.abs() < threshold, torch.zeros_like(relevance), relevance)
    largest = kept.abs().max()
    # Where the threshold drops every channel, nothing moves (the original script divides by zero there).
    return (kept / largest if largest > 0 else kept) * std


def _config(card: Card) -> GeneratorConfig:
    if card.generator != "ffhq-1024":
        raise UsageError(
            f"the edit {card.name!r} moves styles of {card.generator}; such files are known for ffhq-1024 alone"
        )
    return GeneratorConfig()


def _by_layer(offsets: Tensor, widths: list[int], path: Path) -> dict[int, Tensor]:
    """Cut one long vector into layers; files stop after the last layer or after the applied ones."""
    lengths = {sum(widths[:count]): count for count in (APPLIED_LAYERS, len(widths))}
    if len(offsets) not in lengths:
        known = " or ".join(map(str, sorted(lengths)))
        raise MissingError(f"{path}: {len(offsets)} style offsets, expected {known} (all convolution layers in order)")
    count = lengths[len(offsets)]
    return dict(enumerate(offsets.split(widths[:count])))
