"""LPIPS through the `lpips` package (version 0.1), with its backbone from a file of ours: nothing is downloaded.

The package compares two images at a time; here each picture's normalised features are computed once and kept, then
any two can be compared. Same numbers, each network sees each image once. Source: protocol card 3.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from bench.core.checkpoint import read_checkpoint, state_dict_of
from bench.core.errors import MissingError

from .columns import Batch, Extractor, Pair, Resources, kind

BACKBONES = {"alex": "alexnet-imagenet", "vgg": "vgg16-imagenet"}


class Perceptual(nn.Module):
    """LPIPS split in two: `features` of images, `distance` between two pictures' features.

    Args:
        net: "alex" or "vgg".
        backbone: torchvision names -> tensors, `features.N.weight` and `features.N.bias`; others are ignored.
        what: Name of the backbone's file, for errors.

    Raises:
        MissingError: The backbone lacks a tensor, or one has another shape.
    """

    def __init__(self, net: str, backbone: Mapping[str, Tensor], what: str = "backbone") -> None:
        import lpips

        super().__init__()
        # Built without storage: the package would fill a whole classifier at random first (500 MB for VGG).
        with torch.device("meta"):
            self.lpips = lpips.LPIPS(net=net, version="0.1", pretrained=False, pnet_rand=True, verbose=False)
        self.lpips.scaling_layer = lpips.ScalingLayer()
        _load_backbone(self.lpips.net, backbone, what)
        _load_linear(self.lpips, Path(lpips.__file__).parent / "weights" / "v0.1" / f"{net}.pth")
        self.requires_grad_(False)
        self.eval()

    @property
    def layers(self) -> Sequence[nn.Module]:
        """The linear layers, one a feature map."""
        return list(self.lpips.lins)

    def features(self, images: Tensor) -> list[Tensor]:
        """float32 (N, 3, h, w) in [-1, 1] -> feature maps (N, C, h', w'), of length 1 over channels."""
        import lpips

        maps = self.lpips.net(self.lpips.scaling_layer(images))
        return [lpips.normalize_tensor(feature) for feature in maps]

    def distance(self, first: Sequence[Tensor], second: Sequence[Tensor]) -> Tensor:
        """Per-layer distances (layers, N) between features; their sum over layers is LPIPS."""
        return torch.stack(
            [layer((a - b) ** 2).mean(dim=(1, 2, 3)) for layer, a, b in zip(self.layers, first, second, strict=True)]
        )


def _load_backbone(network: nn.Module, backbone: Mapping[str, Tensor], what: str) -> None:
    tensors = {}
    for name, parameter in network.named_parameters():
        # Ours is "slice2.3.weight" where torchvision says "features.3.weight".
        official = "features." + name.split(".", 1)[1]
        if official not in backbone:
            raise MissingError(f"{what} lacks the tensor {official!r}", "is this the right file? see weights ls")
        if backbone[official].shape != parameter.shape:
            shape, expected = tuple(backbone[official].shape), tuple(parameter.shape)
            raise MissingError(f"{what}: {official} has shape {shape}, expected {expected}")
        tensors[name] = backbone[official].float().clone()
    network.load_state_dict(tensors, strict=True, assign=True)


def _load_linear(network: nn.Module, path: Path) -> None:
    tensors = torch.load(path, map_location="cpu", weights_only=True)
    # The layers are known to the package under two names, "lin0" and "lins.0".
    also = {"lins." + name[3:]: tensor for name, tensor in tensors.items()}
    result = network.load_state_dict({**tensors, **also}, strict=False, assign=True)
    assert not result.unexpected_keys, result.unexpected_keys


def load_perceptual(net: str, path: Path) -> Perceptual:
    """LPIPS 0.1 with the torchvision ImageNet backbone in `path` and the linear weights of the package."""
    return Perceptual(net, state_dict_of(read_checkpoint(path)), path.name)


@kind("lpips")
@dataclass(frozen=True)
class Lpips:
    """LPIPS column, version 0.1, on the stored image in [-1, 1]; `net` "alex" or "vgg"."""

    net: Literal["alex", "vgg"]

    def needs(self) -> tuple[str, ...]:
        """The backbone."""
        return (BACKBONES[self.net],)

    def prepare(self, resources: Resources) -> Pair:
        """Normalised maps of the backbone and their weighted distance."""
        path = resources.path(BACKBONES[self.net])
        network: Perceptual = resources.shared(
            ("lpips", self.net), lambda: load_perceptual(self.net, path).to(resources.device)
        )

        def make() -> Extractor:
            def extract(batch: Batch) -> Sequence[list[Tensor]]:
                maps = network.features(batch.signed)
                return [[feature[i : i + 1] for feature in maps] for i in range(len(batch.pixels))]

            return extract

        key = resources.features(("lpips", self.net), make)

        def compare(generated: Sequence[list[Tensor]], original: Sequence[list[Tensor]]) -> list[float]:
            found = [network.distance(a, b).sum() for a, b in zip(generated, original, strict=True)]
            return torch.stack(found).tolist()

        return Pair(key, compare)
