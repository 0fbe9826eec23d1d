"""Inception features through torch-fidelity's extractor interface; no Inception of our own.

torch-fidelity's "inception-v3-compat" (TensorFlow-ported weights) gives the FID of `standard-1`. Three more extractors
are registered with the library, so `torch_fidelity.calculate_metrics(feature_extractor=...)` can use them too:
torchvision's ImageNet network wrapped the StarGAN-v2 way (the FID of `paper-1`), and the library's network under
pytorch-fid's and clean-fid's resizing, for comparisons with numbers from those packages. Source: protocol card 3.1.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch_fidelity import register_feature_extractor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY

from bench.core.checkpoint import load_strict, read_checkpoint, state_dict_of
from bench.core.errors import MissingError

SIDE = 299
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_MIXED = ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c")
_STEM = ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "{pool}1", "Conv2d_3b_1x1", "Conv2d_4a_3x3", "{pool}2")
# Parts of the released file that the features do not pass through; a file without them gives the same features.
_UNUSED = ("AuxLogits.", "fc.")


class InceptionExtractor(FeatureExtractorBase):
    """Base of our extractors: uint8 (N, 3, h, w) -> (features float32 (N, 2048),), as torch-fidelity calls them.

    Args:
        name: Registered name.
        features_list: ["2048"].
        feature_extractor_weights_path: The network's file; never downloaded.
    """

    def __init__(
        self,
        name: str,
        features_list: Sequence[str],
        feature_extractor_weights_path: str | Path | None = None,
        **_: object,
    ) -> None:
        super().__init__(name, list(features_list))
        if feature_extractor_weights_path is None:
            raise ValueError(f"{name} needs feature_extractor_weights_path: it never downloads")
        self.blocks = self.load_blocks(Path(feature_extractor_weights_path))
        self.requires_grad_(False)
        self.eval()

    def load_blocks(self, path: Path) -> nn.Sequential:
        """The network up to the average pool, with the weights of `path`. Raises MissingError for another file."""
        raise NotImplementedError

    def prepare(self, images: Tensor) -> Tensor:
        """uint8 (N, 3, h, w) -> network input float32 (N, 3, 299, 299), same device."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> tuple[Tensor]:
        """uint8 (N, 3, h, w) -> a tuple of one: float32 (N, 2048), as torch-fidelity asks for it."""
        return (self.blocks(self.prepare(images)).flatten(1),)

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        """The one layer, by the name torch-fidelity gives it."""
        return ("2048",)

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        """The same layer for every metric."""
        return "2048"

    @staticmethod
    def can_be_compiled() -> bool:
        """Never: compiled networks give other digits."""
        return False


class ImageNetInception(InceptionExtractor):
    """torchvision's ImageNet Inception as the StarGAN-v2 FID script uses it.

    PIL bicubic to 256x256, PIL bilinear to 299x299 (bytes in between), ImageNet mean and std, blocks up to Mixed_7c,
    average pool. The network's own input re-mapping is not applied although its weights were made with it: the script
    re-assembles the blocks and loses it, and published numbers have that in them.
    """

    def load_blocks(self, path: Path) -> nn.Sequential:
        """torchvision's network up to its last pooling. Raises MissingError for a file of something else."""
        from torchvision.models import inception_v3

        with torch.device("meta"):
            network = inception_v3(weights=None, init_weights=False, aux_logits=False)
        blocks = _blocks(network, "maxpool", "avgpool")
        tensors = state_dict_of(read_checkpoint(path))
        used = {name: tensor for name, tensor in tensors.items() if not name.startswith(_UNUSED)}
        load_strict(blocks, used, f"{path.name} (ImageNet Inception of torchvision)")
        return blocks

    def prepare(self, images: Tensor) -> Tensor:
        """uint8 (N, 3, h, w) -> float32 (N, 3, 299, 299): resized twice, then ImageNet's mean and deviation."""
        unit = _by_image(images, _double_resize) / 255
        mean, std = (unit.new_tensor(values).view(1, 3, 1, 1) for values in (_MEAN, _STD))
        return (unit - mean) / std


class PytorchFidInception(InceptionExtractor):
    """The FID network under pytorch-fid's recipe: bilinear without antialias on the tensor, scaled to [-1, 1]."""

    def load_blocks(self, path: Path) -> nn.Sequential:
        """The FID network up to its last pooling. Raises MissingError for a file of something else."""
        return _blocks(fidelity_inception(path), "MaxPool_", "AvgPool")

    def prepare(self, images: Tensor) -> Tensor:
        """uint8 (N, 3, h, w) -> float32 (N, 3, 299, 299) in [-1, 1], resized bilinearly."""
        resized = F.interpolate(images.float() / 255, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
        return 2 * resized - 1


class CleanFidInception(PytorchFidInception):
    """The FID network under clean-fid's recipe: PIL bicubic on each channel as floats, clipped, (v - 128) / 128."""

    def prepare(self, images: Tensor) -> Tensor:
        """uint8 (N, 3, h, w) -> float32 (N, 3, 299, 299) in [-1, 1), resized bicubically in float."""
        return (_by_image(images, _float_bicubic).clamp(0, 255) - 128) / 128


def fidelity_inception(path: Path, layers: Sequence[str] = ("2048",)) -> FeatureExtractorInceptionV3:
    """torch-fidelity's own extractor with the weights of `path` (`weights-inception-2015-12-05-6726825d.pth`).

    The library would unpickle the file with code allowed; it gets a copy that was read weights-only instead.
    """
    tensors = dict(state_dict_of(read_checkpoint(path)))
    if "Conv2d_1a_3x3.conv.weight" not in tensors or "AuxLogits.fc.weight" in tensors:
        message = f"{path.name} does not hold the TensorFlow-ported FID Inception"
        raise MissingError(message, "run_bench.py weights verify inception-fid")
    # The classifier is not part of the features, but the library loads strictly.
    tensors.setdefault("fc.weight", torch.zeros(1008, 2048))
    tensors.setdefault("fc.bias", torch.zeros(1008))
    plain = io.BytesIO()
    torch.save(tensors, plain)
    plain.seek(0)
    try:
        return FeatureExtractorInceptionV3("inception-v3-compat", list(layers), feature_extractor_weights_path=plain)
    except RuntimeError as error:
        message = f"{path.name} does not fit the FID Inception: {str(error).splitlines()[-1].strip()}"
        raise MissingError(message, "run_bench.py weights verify inception-fid") from None


def _blocks(network: nn.Module, pool: str, last: str) -> nn.Sequential:
    names = [name.format(pool=pool) for name in _STEM] + [f"Mixed_{part}" for part in _MIXED] + [last]
    blocks = nn.Sequential()
    for name in names:
        blocks.add_module(name, getattr(network, name))
    return blocks


def _by_image(images: Tensor, change: Callable[[np.ndarray], np.ndarray]) -> Tensor:
    """float32 (N, 3, 299, 299) of a function on uint8 (h, w, 3) arrays, on the pictures' device."""
    changed = np.stack([change(array) for array in images.permute(0, 2, 3, 1).cpu().numpy()])
    return torch.from_numpy(changed).permute(0, 3, 1, 2).to(images.device).float()


def _double_resize(pixels: np.ndarray) -> np.ndarray:
    image = Image.fromarray(pixels)
    if image.size != (256, 256):
        image = image.resize((256, 256), Image.Resampling.BICUBIC)
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def _float_bicubic(pixels: np.ndarray) -> np.ndarray:
    channels = [Image.fromarray(pixels[..., c].astype(np.float32)) for c in range(3)]
    return np.stack([np.asarray(c.resize((SIDE, SIDE), Image.Resampling.BICUBIC)) for c in channels], axis=-1)


# Registered names of the recipes of a Fréchet column; torch-fidelity's own is not among them.
RECIPES: dict[str, tuple[str, type[InceptionExtractor]]] = {
    "stargan2": ("inception-v3-imagenet-stargan2", ImageNetInception),
    "pytorch_fid": ("inception-v3-pytorch-fid", PytorchFidInception),
    "clean_fid": ("inception-v3-clean-fid", CleanFidInception),
}
for _name, _cls in RECIPES.values():
    if _name not in FEATURE_EXTRACTORS_REGISTRY:
        register_feature_extractor(_name, _cls)


def load_extractor(recipe: str, path: Path) -> nn.Module:
    """The extractor of a recipe: "stargan2", "pytorch_fid", "clean_fid" or "torch_fidelity"."""
    if recipe == "torch_fidelity":
        return fidelity_inception(path)
    name, cls = RECIPES[recipe]
    return cls(name, ["2048"], path)
