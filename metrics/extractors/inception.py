"""Inception features through torch-fidelity's extractor interface; no Inception of our own.

Two extractors are used. torch-fidelity's "inception-v3-compat" (TensorFlow-ported weights) gives the FID of
`standard-1`. `ImageNetInception`, torchvision's network wrapped the StarGAN-v2 way, gives that of `paper-1`; it is
registered with torch-fidelity as "inception-v3-imagenet-stargan2", so `torch_fidelity.calculate_metrics` can use it
too. Source: protocol card 3.1.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch_fidelity import register_feature_extractor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY

from bench.errors import MissingError
from bench.weights.load import load_strict, read_checkpoint, state_dict_of

IMAGENET_NAME = "inception-v3-imagenet-stargan2"
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_BLOCKS = (
    "Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "maxpool1", "Conv2d_3b_1x1", "Conv2d_4a_3x3", "maxpool2",
    "Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e",
    "Mixed_7a", "Mixed_7b", "Mixed_7c", "avgpool",
)  # fmt: skip
# Parts of the released file that the features do not pass through; a file without them gives the same features.
_UNUSED = ("AuxLogits.", "fc.")


class ImageNetInception(FeatureExtractorBase):
    """torchvision's ImageNet Inception as the StarGAN-v2 FID script uses it: uint8 (N, 3, h, w) -> (features (N,
    2048),).

    PIL bicubic to 256x256, PIL bilinear to 299x299 (bytes in between), ImageNet mean and std, blocks up to Mixed_7c,
    average pool. The network's own input re-mapping is not applied although its weights were made with it: the script
    re-assembles the blocks and loses it, and published numbers have that in them.

    Args:
        name: Registered name.
        features_list: ["2048"].
        feature_extractor_weights_path: torchvision's `inception_v3_google-*.pth`.
    """

    def __init__(
        self,
        name: str,
        features_list: Sequence[str],
        feature_extractor_weights_path: str | Path | None = None,
        **_: Any,
    ) -> None:
        super().__init__(name, list(features_list))
        if feature_extractor_weights_path is None:
            raise ValueError(f"{name} needs feature_extractor_weights_path: it never downloads")
        self.blocks = _torchvision_blocks(Path(feature_extractor_weights_path))
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1))
        self.requires_grad_(False)
        self.eval()

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return ("2048",)

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        return "2048"

    @staticmethod
    def can_be_compiled() -> bool:
        return False

    def prepare(self, pictures: Tensor) -> Tensor:
        """uint8 (N, 3, h, w) -> network input float32 (N, 3, 299, 299) on the network's device."""
        arrays = pictures.permute(0, 2, 3, 1).cpu().numpy()
        resized = np.stack([_double_resize(array) for array in arrays])
        unit = torch.from_numpy(resized).permute(0, 3, 1, 2).to(self.mean.device).float() / 255
        return (unit - self.mean) / self.std

    def forward(self, pictures: Tensor) -> tuple[Tensor]:
        return (self.blocks(self.prepare(pictures)).flatten(1),)


def _double_resize(pixels: np.ndarray) -> np.ndarray:
    picture = Image.fromarray(pixels)
    if picture.size != (256, 256):
        picture = picture.resize((256, 256), Image.Resampling.BICUBIC)
    return np.asarray(picture.resize((299, 299), Image.Resampling.BILINEAR))


def _torchvision_blocks(path: Path) -> nn.Sequential:
    from torchvision.models import inception_v3

    with torch.device("meta"):
        network = inception_v3(weights=None, init_weights=False, aux_logits=False)
    blocks = nn.Sequential()
    for name in _BLOCKS:
        blocks.add_module(name, getattr(network, name))
    tensors = state_dict_of(read_checkpoint(path))
    used = {name: tensor for name, tensor in tensors.items() if not name.startswith(_UNUSED)}
    load_strict(blocks, used, f"{path.name} (ImageNet Inception of torchvision)")
    return blocks


if IMAGENET_NAME not in FEATURE_EXTRACTORS_REGISTRY:
    register_feature_extractor(IMAGENET_NAME, ImageNetInception)


def fidelity_inception(path: Path) -> FeatureExtractorInceptionV3:
    """torch-fidelity's own extractor with the weights of `path` (`weights-inception-2015-12-05-6726825d.pth`).

    The library would unpickle the file with code allowed; it gets a copy that was read weights-only instead.
    """
    tensors = dict(state_dict_of(read_checkpoint(path)))
    # The classifier is not part of the features, but the library loads strictly.
    tensors.setdefault("fc.weight", torch.zeros(1008, 2048))
    tensors.setdefault("fc.bias", torch.zeros(1008))
    _check_names(tensors, path)
    plain = io.BytesIO()
    torch.save(tensors, plain)
    plain.seek(0)
    return FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], feature_extractor_weights_path=plain)


def _check_names(tensors: dict[str, Tensor], path: Path) -> None:
    if "Conv2d_1a_3x3.conv.weight" not in tensors or "AuxLogits.fc.weight" in tensors:
        raise MissingError(
            f"{path.name} does not hold the TensorFlow-ported FID Inception",
            "run_bench.py weights verify inception-fid",
        )
