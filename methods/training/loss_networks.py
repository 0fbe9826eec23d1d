"""The frozen networks of the full-size losses: Phi and A of the paper's Eq. 5 and 6 ("styleres_training" card 3).

All of them see the 256-px images in [-1, 1] as they come out of the generator, unclamped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.core.checkpoint import load_strict, read_checkpoint, state_dict_of, take
from bench.core.errors import MissingError
from methods.nets.vgg16 import VGG16
from metrics.identity.networks import arcface

# Rows and columns of the face in a 256-px image, as the pSp family cuts it.
CROP_ROWS, CROP_COLUMNS = slice(35, 223), slice(32, 220)
_MOCO = "module.encoder_q."


class FaceIdentity(nn.Module):
    """ArcFace IR-SE-50 on a fixed crop, averaged to 112 px; no detector."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Unit embeddings (N, 512) of images (N, 3, 256, 256)."""
        return self.network(F.adaptive_avg_pool2d(images[:, :, CROP_ROWS, CROP_COLUMNS], 112))


class CarIdentity(nn.Module):
    """MoCo's ResNet-50 on the whole image, squeezed to 224 px (nearest) and not normalised (identity card 5)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        """Unit embeddings (N, 2048) of images (N, 3, 192, 256)."""
        return F.normalize(self.network(F.interpolate(images, size=(224, 224))), dim=1)


@dataclass(frozen=True)
class LossNetworks:
    """Phi and A."""

    perceptual: VGG16
    identity: nn.Module

    def features(self, images: Tensor) -> list[Tensor]:
        """Feature maps of images (N, 3, h, w), one a layer of Phi."""
        return self.perceptual(images)

    def embed(self, images: Tensor) -> Tensor:
        """Unit embeddings (N, D)."""
        return self.identity(images)


def feature_loss(made: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """L_rec-p: mean square of the difference over all elements of a map, summed over the layers, per sample (N,)."""
    return torch.stack([(m - r).square().flatten(1).mean(1) for m, r in zip(made, real, strict=True)]).sum(0)


def load_vgg16(path: Path, layers: Sequence[str] = ("relu4_3",), input_scale: float = 255.0) -> VGG16:
    """Phi from the Keras-converted file, frozen. Raises MissingError for another file, naming what does not fit."""
    with torch.device("meta"):
        network = VGG16(layers, input_scale=input_scale)
    load_strict(network, state_dict_of(read_checkpoint(path)), f"{path} (VGG16, Keras names)")
    return network.requires_grad_(False).eval()


def load_identity(path: Path, domain: str) -> nn.Module:
    """A from IR-SE-50's file (faces) or MoCo-v2's (cars), frozen. Raises MissingError for another file."""
    if domain == "faces":
        return FaceIdentity(arcface(path)).requires_grad_(False).eval()
    from torchvision.models import resnet50

    tensors = take(state_dict_of(read_checkpoint(path)), _MOCO)
    if not tensors:
        raise MissingError(f"{path} holds no {_MOCO}*", "give moco_v2_800ep_pretrain.pt")
    with torch.device("meta"):
        network = resnet50(weights=None)
        network.fc = nn.Identity()
    # The projection that contrastive training ends in is no part of the description.
    kept = {name: value for name, value in tensors.items() if not name.startswith("fc.")}
    load_strict(network, kept, f"{path} (MoCo ResNet-50)", _MOCO.__add__)
    return CarIdentity(network).requires_grad_(False).eval()
