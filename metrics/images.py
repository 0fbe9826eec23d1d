"""From a full-size image to the image a protocol keeps: bytes, size, JPEG (protocol card 1.2)."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from bench.core.errors import ImageError

from .protocol import ImageRules

# Rows of an image rounded at a time on a CPU: what lies between the steps stays in its cache.
_ROWS = 32


def to_uint8(images: Tensor, rule: str) -> np.ndarray:
    """Generated float images (N, 3, H, W) in about [-1, 1] as uint8 (N, H, W, 3), rounded on their own device.

    `rule` "truncate": ((x + 1) / 2 clipped to [0, 1]) * 255, fraction cut off (pSp family and the group's scripts).
    "round": (x + 1) * 127.5 to the nearest level, halves up.

    Raises:
        ImageError: An image holds NaN or infinity.
    """
    if not all(finite(images)):
        raise ImageError("the output has NaN or infinite values")
    images = images.detach().float()
    if images.device.type != "cpu":
        return _levels(images, rule).to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()
    made = np.empty((len(images), *images.shape[2:], images.shape[1]), np.uint8)
    for image, target in zip(images, made, strict=True):
        for top in range(0, image.shape[1], _ROWS):
            levels = _levels(image[:, top : top + _ROWS], rule).numpy()
            # numpy cuts the fraction off on its way into every third byte: torch takes twice as long.
            for channel, plane in enumerate(levels):
                target[top : top + _ROWS, :, channel] = plane
    return made


def finite(images: Tensor) -> list[bool]:
    """Which of the images (N, C, H, W) hold no NaN and no infinity."""
    flat = images.flatten(1)
    # A finite sum has no other summands, and is quicker than the extremes; it may be infinite where these are finite.
    if bool(torch.isfinite(flat.sum(1)).all()):
        return [True] * len(flat)
    return torch.isfinite(flat.amax(1) - flat.amin(1)).tolist()


def _levels(images: Tensor, rule: str) -> Tensor:
    """Levels of which only the fraction is left to cut off. Times 127.5 is the same number as half of it times 255."""
    levels = images.add(1).mul_(127.5).clamp_(0, 255)
    return levels.add_(0.5) if rule == "round" else levels


def resized(pixels: np.ndarray, size: tuple[int, int], images: ImageRules) -> np.ndarray:
    """uint8 (H, W, 3) to uint8 (h, w, 3) by the protocol's filter; unchanged when the size fits already.

    Raises ImageError for anything else.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ImageError(f"expected uint8 (H, W, 3), got {pixels.dtype} {pixels.shape}")
    if pixels.shape[:2] == size:
        return pixels
    if images.resize == "tensor_bilinear":
        return _tensor_bilinear(pixels, size, images.uint8)
    filters = {"pil_bicubic": Image.Resampling.BICUBIC, "nearest": Image.Resampling.NEAREST}
    return np.asarray(Image.fromarray(pixels).resize((size[1], size[0]), filters[images.resize]))


def through_jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    """uint8 (h, w, 3) written as baseline JPEG with PIL's other defaults (4:2:0) and read again."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    with Image.open(file, formats=("JPEG",)) as image:
        return np.asarray(image.convert("RGB"))


def store(pixels: np.ndarray, size: tuple[int, int], images: ImageRules) -> np.ndarray:
    """A full-size uint8 (H, W, 3) image as the protocol keeps it, uint8 (h, w, 3)."""
    return compressed(resized(pixels, size, images), images)


def compressed(small: np.ndarray, images: ImageRules) -> np.ndarray:
    """An image of the protocol's size, uint8 (h, w, 3), through JPEG where the protocol keeps that."""
    return through_jpeg(small, images.jpeg_quality) if images.storage == "jpeg" else small


def _tensor_bilinear(pixels: np.ndarray, size: tuple[int, int], rule: str) -> np.ndarray:
    tensor = torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None].float()
    small = F.interpolate(tensor, size=size, mode="bilinear", align_corners=False, antialias=False)
    small = small if rule == "truncate" else torch.floor(small + 0.5)
    return small.clamp(0, 255).to(torch.uint8)[0].permute(1, 2, 0).contiguous().numpy()
