"""Tensor names of the released StyleRes file in this house's names ("styleres" card sections 2-5).

The file holds the encoder ("e4e"), "latent_avg" and a generator in NVIDIA's layout with E_1 and E_2 inside its 64-px
block ("generator_smooth"). One generator class serves every layout; only names and shapes differ.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

RELEASED_CLAMP = 256.0  # bound of every layer of the released generator, "styleres" card section 4
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

    Names that the layout does not know come back as they are, so that a strict load names them.
    """
    found: dict[str, Tensor] = {}
    for name, value in generator.items():
        if name.startswith(tuple(_RESIDUAL)):
            continue
        translated = _translate(name, value)
        if translated is not None:
            found[translated[0]] = translated[1]
    return found


def _translate(name: str, value: Tensor) -> tuple[str, Tensor] | None:
    part, _, rest = name.partition(".")
    if part == "mapping":
        return _mapping(rest, value)
    block, _, inside = rest.partition(".")
    if part != "synthesis" or not block[1:].isdigit():
        return name, value
    power = int(block[1:]).bit_length() - 1
    if inside == "const":
        return "input.input", value[None]
    if inside == "resample_filter":
        # The file stores it with sum 1, and also where nothing is up-sampled.
        return None if power == 2 else (f"to_rgbs.{power - 3}.upsample.kernel", value * 4)
    layer, _, tensor = inside.partition(".")
    if layer == "torgb":
        return _rgb(power, tensor, value) or (name, value)
    return _conv(power, layer, tensor, value) if layer in ("conv0", "conv1") else (name, value)


def _mapping(rest: str, value: Tensor) -> tuple[str, Tensor] | None:
    if rest == "w_avg":
        return None
    layer, _, tensor = rest.partition(".")
    return f"style.{int(layer.removeprefix('fc')) + 1}.{tensor}", value


def _rgb(power: int, tensor: str, value: Tensor) -> tuple[str, Tensor] | None:
    prefix = "to_rgb1" if power == 2 else f"to_rgbs.{power - 3}"
    if tensor not in _RGB:
        return None
    if tensor == "weight":
        value = value[None]
    elif tensor == "bias":
        value = value[None, :, None, None]
    return f"{prefix}.{_RGB[tensor]}", value


def _conv(power: int, layer: str, tensor: str, value: Tensor) -> tuple[str, Tensor] | None:
    number = 2 * (power - 3) + int(layer[-1])
    prefix = "conv1" if power == 2 else f"convs.{number}"
    if tensor == "noise_const":
        return f"noises.noise_{number + 1}", value[None, None]
    if tensor == "resample_filter":
        return None if layer == "conv1" else (f"{prefix}.conv.blur.kernel", value * 4)
    if tensor == "weight":
        value = value[None]
    elif tensor == "noise_strength":
        value = value.reshape(1)
    return f"{prefix}.{_CONV.get(tensor, tensor)}", value
