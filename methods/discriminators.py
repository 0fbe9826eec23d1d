"""A StyleGAN2 discriminator out of any file that holds one: rosinality's, ours, or NVIDIA's layout (stylegan2 card 6).

NVIDIA's 256-px network is the one that StyleRes and WarpRes are trained against ("training_step" card 2).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from bench.core.checkpoint import check_fit, load_strict, read_checkpoint, state_dict_of, take
from bench.core.errors import MissingError
from bench.core.signature import recognise
from methods.nets.stylegan2 import Discriminator, DiscriminatorConfig

CLAMP = 256.0  # of every layer of NVIDIA's networks


def load_discriminator(path: str | Path, device: str | torch.device = "cpu") -> Discriminator:
    """The discriminator of a file, in eval mode and frozen; its sizes are read from the tensors.

    Takes rosinality's files ("d"), ours ("discriminator.*") and NVIDIA's layout ("discriminator", perhaps below
    "models").

    Raises:
        MissingError: A file without a discriminator, or with tensors missing, unexpected or of other shapes.
    """
    content = read_checkpoint(path)
    what = f"{path}: discriminator"
    nvidia = content.get("models", content).get("discriminator")
    if nvidia is not None:
        names = nvidia_names(_size(nvidia))
        tensors, clamp = _renamed(nvidia, names, what), CLAMP
    else:
        names = {}
        tensors, clamp = dict(content.get("d") or take(state_dict_of(content), "discriminator.")), None
    if not tensors:
        raise MissingError(f"{path} looks like {recognise(content)}; expected a file with a StyleGAN2 discriminator")
    theirs = {ours: name for name, ours in names.items()}

    def official(name: str) -> str:
        return theirs.get(name, name)

    with torch.device("meta"):
        network = Discriminator(config_of(tensors, clamp, what, official))
    load_strict(network, tensors, what, official)
    return network.eval().requires_grad_(False).to(device)


def config_of(
    tensors: Mapping[str, Tensor], clamp: float | None, what: str, official: Callable[[str], str] = str
) -> DiscriminatorConfig:
    """Sizes of a discriminator with rosinality's tensor names. Raises MissingError naming the tensor that lacks."""

    def width(name: str, axis: int) -> int:
        value = tensors.get(name)
        if value is None or value.ndim != 4:
            raise MissingError(f"{what} does not fit: missing {official(name)}", "check that this is the right file")
        return value.shape[axis]

    blocks = max((int(found[1]) for name in tensors if (found := re.match(r"convs\.(\d+)\.", name))), default=0)
    size = 4 << blocks
    channels = {size >> (block - 1): width(f"convs.{block}.conv1.0.weight", 1) for block in range(1, blocks + 1)}
    return DiscriminatorConfig(size, {**channels, 4: width("final_conv.0.weight", 0)}, clamp)


def nvidia_names(size: int) -> dict[str, str]:
    """NVIDIA's tensor names of a network for `size` px -> ours, for all that `Discriminator` has."""
    names = {}
    for tensor in ("weight", "bias"):
        place = {"weight": 0, "bias": 1}[tensor]
        names[f"b{size}.fromrgb.{tensor}"] = f"convs.0.{place}.{tensor}"
        names[f"b4.conv.{tensor}"] = f"final_conv.{place}.{tensor}"
        names[f"b4.fc.{tensor}"] = f"final_linear.0.{tensor}"
        names[f"b4.out.{tensor}"] = f"final_linear.1.{tensor}"
    for index, side in enumerate(_sides(size), start=1):
        theirs, ours = f"b{side}", f"convs.{index}"
        names |= {
            f"{theirs}.conv0.weight": f"{ours}.conv1.0.weight",
            f"{theirs}.conv0.bias": f"{ours}.conv1.1.bias",
            f"{theirs}.conv1.weight": f"{ours}.conv2.1.weight",
            f"{theirs}.conv1.bias": f"{ours}.conv2.2.bias",
            f"{theirs}.conv1.resample_filter": f"{ours}.conv2.0.kernel",
            f"{theirs}.skip.weight": f"{ours}.skip.1.weight",
            f"{theirs}.skip.resample_filter": f"{ours}.skip.0.kernel",
        }
    return names


def _sides(size: int) -> list[int]:
    """Sides of a network's blocks from the top: 256, 128, ..., 8."""
    return [size >> step for step in range(size.bit_length() - 3)]


def _size(nvidia: Mapping[str, Tensor]) -> int:
    return max((int(found[1]) for name in nvidia if (found := re.match(r"b(\d+)\.", name))), default=4)


def _renamed(nvidia: Mapping[str, Tensor], names: Mapping[str, str], what: str) -> dict[str, Tensor]:
    """Our names; filters where nothing is halved must be there in their shape and are left out."""
    size = _size(nvidia)
    idle = [f"b{size}.fromrgb", "b4.conv", *(f"b{side}{part}" for side in _sides(size) for part in ("", ".conv0"))]
    unused = {f"{layer}.resample_filter": (4, 4) for layer in idle}
    check_fit(unused, {name: nvidia[name] for name in unused if name in nvidia}, what)
    return {names.get(name, name): value for name, value in nvidia.items() if name not in unused}
