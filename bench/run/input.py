"""From a data set's pixels to what a method takes."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bench.core.contract import InputFilter, Method, input_filter_of

_FILTERS: dict[InputFilter, Image.Resampling] = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


def to_input(pixels: np.ndarray, method: Method) -> Tensor:
    """uint8 (H, W, 3) as a method's input, float32 (3, h, w) in [-1, 1].

    Resized by Pillow with the method's filter (antialiased), squashed where the sides' ratio differs (protocol card,
    1.2 and 1.4).
    """
    height, width = method.input_size
    if pixels.shape[:2] != (height, width):
        chosen = _FILTERS[input_filter_of(method)]
        pixels = np.asarray(Image.fromarray(pixels).resize((width, height), chosen))
    return torch.from_numpy(pixels.astype(np.float32).transpose(2, 0, 1).copy()) / 127.5 - 1
