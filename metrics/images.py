"""From a full-size picture to the picture a protocol keeps: bytes, size, JPEG (protocol card 1.2)."""

from __future__ import annotations

import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from bench.core.errors import PictureError

from .protocol import Pictures


def to_uint8(image: Tensor, rule: str) -> np.ndarray:
    """A generated float (3, H, W) picture in about [-1, 1] as uint8 (H, W, 3).

    `rule` "truncate": ((x + 1) / 2 clipped to [0, 1]) * 255, fraction cut off (pSp family and the group's scripts).
    "round": (x + 1) * 127.5 to the nearest level, halves up.

    Raises:
        PictureError: The picture holds NaN or infinity.
    """
    if not bool(torch.isfinite(image).all()):
        raise PictureError("the generated picture holds NaN or infinity")
    unit = ((image.detach().float() + 1) / 2).clamp(0, 1)
    levels = unit * 255 if rule == "truncate" else torch.floor(unit * 255 + 0.5)
    return levels.to(torch.uint8).permute(1, 2, 0).contiguous().cpu().numpy()


def resized(pixels: np.ndarray, size: tuple[int, int], pictures: Pictures) -> np.ndarray:
    """uint8 (H, W, 3) to uint8 (h, w, 3) by the protocol's filter; unchanged when the size fits already."""
    if pixels.shape[:2] == size:
        return pixels
    if pictures.resize == "tensor_bilinear":
        return _tensor_bilinear(pixels, size, pictures.uint8)
    filters = {"pil_bicubic": Image.Resampling.BICUBIC, "nearest": Image.Resampling.NEAREST}
    return np.asarray(Image.fromarray(pixels).resize((size[1], size[0]), filters[pictures.resize]))


def through_jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    """uint8 (h, w, 3) written as baseline JPEG with PIL's other defaults (4:2:0) and read again."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    with Image.open(file) as picture:
        return np.asarray(picture.convert("RGB"))


def store(pixels: np.ndarray, size: tuple[int, int], pictures: Pictures) -> np.ndarray:
    """A full-size uint8 (H, W, 3) picture as the protocol keeps it, uint8 (h, w, 3)."""
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise PictureError(f"expected uint8 (H, W, 3), got {pixels.dtype} {pixels.shape}")
    small = resized(pixels, size, pictures)
    return through_jpeg(small, pictures.jpeg_quality) if pictures.storage == "jpeg" else small


def _tensor_bilinear(pixels: np.ndarray, size: tuple[int, int], rule: str) -> np.ndarray:
    tensor = torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None].float()
    small = F.interpolate(tensor, size=size, mode="bilinear", align_corners=False, antialias=False)
    small = small if rule == "truncate" else torch.floor(small + 0.5)
    return small.clamp(0, 255).to(torch.uint8)[0].permute(1, 2, 0).contiguous().numpy()
