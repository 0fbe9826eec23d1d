"""Tensor names of the released StyleRes file in this house's names ("styleres" card sections 2-5).

The file holds the encoder ("e4e"), "latent_avg" and a generator in NVIDIA's layout with E_1 and E_2 inside its 64-px
block ("generator_smooth"). One generator class serves every layout; only names and shapes differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from torch import Tensor

from bench.core.checkpoint import check_fit
from methods.nets.stylegan2 import GeneratorConfig

RELEASED_CLAMP = 256.0  # bound of every layer of the released generator, "styleres" card section 4
GENERATOR, ENCODER = "generator_smooth.", "e4e."
_BLOCK = "synthesis.b64."
_RESIDUAL = {
    f"{_BLOCK}modify_feature_alignment.": "extractor.alignment.",
    f"{_BLOCK}modify_feature_extraction.": "extractor.extraction.",
    f"{_BLOCK}modify_feature_gates.": "injector.",
}
_CONV = {
    "weight": "conv.weight",
    "affine.weight": "conv.modulation.weight",
    "affine.bias": "conv.modulation.bias",
    "noise_strength": "noise.weight",
    "bias": "activate.bias",
}
_RGB = {
    "weight": "conv.weight",
    "affine.weight": "conv.modulation.weight",
    "affine.bias": "conv.modulation.bias",
    "bias": "bias",
}
# Larger than any generator of this layout, so that every name has its translation.
_LARGEST, _MOST_LAYERS = 4096, 32


def residual_tensors(generator: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """E_1 and E_2 of "generator_smooth", named as in `StyleRes`: extractor.* and injector.*."""
    found = {}
    for name, value in generator.items():
        for theirs, ours in _RESIDUAL.items():
            if name.startswith(theirs):
                found[ours + name.removeprefix(theirs)] = value
    return found


def generator_tensors(generator: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A generator in NVIDIA's layout, named and shaped as in `Generator`; E_1 and E_2 are left out.

    Names that the layout does not know come back as they are, so that a strict load names them. What `Generator` has
    no use for is left out as well: see `check_unused`.
    """
    names, unused = _generator_names(), unused_shapes(_LARGEST, 0)
    return {
        names.get(name, name): _shaped(name, value)
        for name, value in generator.items()
        if not name.startswith(tuple(_RESIDUAL)) and name not in unused
    }


def unused_shapes(size: int, style_dim: int) -> dict[str, tuple[int, ...]]:
    """Tensors of the layout that `Generator` has no use for: the mean w, and filters where nothing is doubled."""
    shapes: dict[str, tuple[int, ...]] = {"mapping.w_avg": (style_dim,), f"{_block(4)}.resample_filter": (4, 4)}
    for power in range(2, size.bit_length()):
        shapes[f"{_block(2**power)}.conv1.resample_filter"] = (4, 4)
    return shapes


def check_unused(generator: Mapping[str, Tensor], size: int, style_dim: int, where: object) -> None:
    """Raise MissingError unless the tensors without a use are there, in their shapes: the file is read strictly."""
    shapes = unused_shapes(size, style_dim)
    check_fit(
        shapes,
        {name: generator[name] for name in shapes if name in generator},
        f"{where}: generator",
        GENERATOR.__add__,
    )


def official_name(ours: str) -> str:
    """The released file's name of a tensor of its parts; a name that is not ours comes back below its part.

    "decoder.convs.0.conv.weight" -> "generator_smooth.synthesis.b8.conv0.weight", "encoder.body.0.x" -> "e4e.body.0.x",
    "injector.convs.0.x" -> "generator_smooth.synthesis.b64.modify_feature_gates.convs.0.x".
    """
    part, _, name = ours.partition(".")
    if part == "encoder":
        return ENCODER + name
    if part == "decoder":
        return GENERATOR + _official_generator_names().get(name, name)
    for theirs, start in _RESIDUAL.items():
        if ours.startswith(start):
            return GENERATOR + theirs + ours.removeprefix(start)
    return GENERATOR + ours


@lru_cache(maxsize=1)
def _generator_names() -> Mapping[str, str]:
    """Official name -> ours, for every tensor that `Generator` may have."""
    names = {f"{_block(4)}.const": "input.input"}
    for layer in range(GeneratorConfig(size=_LARGEST).layers):
        block = _block(GeneratorConfig.layer_size(layer))
        theirs = f"{block}.conv{1 - layer % 2}"
        ours = "conv1" if layer == 0 else f"convs.{layer - 1}"
        names |= {f"{theirs}.{there}": f"{ours}.{here}" for there, here in _CONV.items()}
        names[f"{theirs}.noise_const"] = f"noises.noise_{layer}"
        if layer % 2:
            names[f"{theirs}.resample_filter"] = f"{ours}.conv.blur.kernel"
            continue
        ours = "to_rgb1" if layer == 0 else f"to_rgbs.{layer // 2 - 1}"
        names |= {f"{block}.torgb.{there}": f"{ours}.{here}" for there, here in _RGB.items()}
        if layer:
            names[f"{block}.resample_filter"] = f"{ours}.upsample.kernel"
    for layer in range(_MOST_LAYERS):
        names |= {f"mapping.fc{layer}.{tensor}": f"style.{layer + 1}.{tensor}" for tensor in ("weight", "bias")}
    return names


@lru_cache(maxsize=1)
def _official_generator_names() -> Mapping[str, str]:
    return {ours: theirs for theirs, ours in _generator_names().items()}


def _block(size: int) -> str:
    return f"synthesis.b{size}"


def _shaped(name: str, value: Tensor) -> Tensor:
    """A tensor of the file in the shape `Generator` gives it; one of a strange shape as it is, for the strict load."""
    stem, _, tensor = name.rpartition(".")
    if tensor == "resample_filter":
        # The file stores it with sum 1; ours carry the gain of the up-sampling.
        return value * 4
    if (tensor, value.ndim) in (("const", 3), ("noise_strength", 0)) or (tensor == "weight" and value.ndim == 4):
        return value[None]
    if (tensor, value.ndim) == ("noise_const", 2):
        return value[None, None]
    if tensor == "bias" and stem.endswith(".torgb") and value.ndim == 1:
        return value[None, :, None, None]
    return value
