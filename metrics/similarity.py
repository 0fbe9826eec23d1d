"""Pixel similarity: SSIM (scikit-image), the lineage's MS-SSIM, MSE and PSNR (protocol card 3.3).

Pure functions of two images of one size; the first is the generated one, the second the original.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .columns import Batch, Pair, Resources, Undefined, kind

# Weights of the five scales, fine to coarse (Wang, Simoncelli and Bovik 2003).
_SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_WINDOW, _SIGMA = 11, 1.5
_HIGHEST_PSNR = 100.0


def ssim(
    generated: np.ndarray,
    original: np.ndarray,
    *,
    window: str = "gaussian",
    data_range: float = 255,
    sample_covariance: bool | None = None,
) -> float:
    """SSIM of two (h, w, 3) or (h, w) images by scikit-image, averaged over channels; higher is better, at most 1.

    `window` "gaussian": 11 taps of sigma 1.5 and, unless told otherwise, population covariance, as the SSIM paper has
    it. "uniform": scikit-image's default, a 7x7 box with sample covariance. `data_range`: 255 for uint8, 2 for floats
    in [-1, 1].

    Raises:
        Undefined: The image is smaller than the window.
    """
    from skimage.metrics import structural_similarity

    gaussian = window == "gaussian"
    if min(generated.shape[:2]) < (_WINDOW if gaussian else 7):
        raise Undefined("the picture is smaller than SSIM's window")
    return float(
        structural_similarity(
            generated,
            original,
            data_range=data_range,
            channel_axis=2 if generated.ndim == 3 else None,
            gaussian_weights=gaussian,
            sigma=_SIGMA,
            use_sample_covariance=not gaussian if sample_covariance is None else sample_covariance,
        )
    )


def psnr(generated: np.ndarray, original: np.ndarray) -> float:
    """PSNR in dB of two uint8 images, peak 255; at most 100 dB, which identical images get (not infinity)."""
    error = float(np.mean((generated.astype(np.float64) - original.astype(np.float64)) ** 2))
    return _HIGHEST_PSNR if error == 0 else min(_HIGHEST_PSNR, float(10 * np.log10(255**2 / error)))


def mse(generated: np.ndarray, original: np.ndarray) -> float:
    """Mean squared error of two uint8 images on the [-1, 1] scale (the lineage's "L2")."""
    difference = (generated.astype(np.float64) - original.astype(np.float64)) / 127.5
    return float(np.mean(difference**2))


def lineage_ssim(generated: Tensor, original: Tensor, value_range: float | None = None) -> tuple[Tensor, Tensor]:
    """(SSIM, contrast-structure term) of float32 (3, h, w) images, each a scalar mean over space and channels.

    `value_range` None guesses L from the generated image, as the lineage does: (255 if max > 128 else 1) minus
    (-1 if min < -0.5 else 0), so L is 2 for most images in [-1, 1] but 1 for one without anything dark.
    """
    length = _guessed_range(generated) if value_range is None else value_range
    c1, c2 = (0.01 * length) ** 2, (0.03 * length) ** 2
    x, y = generated[:, None], original[:, None]
    moments = _blur(torch.cat([x, y, x * x, y * y, x * y]))
    mean_x, mean_y, square_x, square_y, product = moments.chunk(5)
    variance_x, variance_y = square_x - mean_x**2, square_y - mean_y**2
    covariance = product - mean_x * mean_y
    contrast = (2 * covariance + c2) / (variance_x + variance_y + c2)
    full = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1) * contrast
    return full.mean(), contrast.mean()


def ms_ssim(generated: Tensor, original: Tensor, value_range: float | None = None) -> float:
    """The lineage's MS-SSIM of float32 (3, h, w) images in [-1, 1]; higher is better, at most 1.

    Five scales with 2x2 average pooling between them; the contrast terms of the first four and the SSIM of the fifth,
    each to the power of its scale's weight. It is not invariant to an offset: on [-1, 1] it is lower than on bytes.

    Raises:
        Undefined: A factor is negative (a fractional power of it is NaN in the lineage), or the image is too small.
    """
    if min(generated.shape[1:]) < _WINDOW * 2 ** (len(_SCALES) - 1):
        raise Undefined("the picture is too small for five scales of MS-SSIM")
    factors = []
    for scale in range(len(_SCALES)):
        full, contrast = lineage_ssim(generated, original, value_range)
        factors.append(contrast if scale < len(_SCALES) - 1 else full)
        generated, original = F.avg_pool2d(generated, 2), F.avg_pool2d(original, 2)
    stacked = torch.stack(factors)
    if bool((stacked < 0).any()):
        raise Undefined("MS-SSIM is NaN: a scale's factor is negative")
    return float(torch.prod(stacked ** torch.tensor(_SCALES, device=stacked.device)))


def _guessed_range(image: Tensor) -> float:
    high = 255.0 if float(image.max()) > 128 else 1.0
    low = -1.0 if float(image.min()) < -0.5 else 0.0
    return high - low


def _blur(maps: Tensor) -> Tensor:
    """(N, 1, h, w) -> (N, 1, h - 10, w - 10): the Gaussian window without padding, as two one-dimensional passes."""
    at = torch.arange(_WINDOW, dtype=torch.float32, device=maps.device) - _WINDOW // 2
    taps = torch.exp(-(at**2) / (2 * _SIGMA**2))
    taps = taps / taps.sum()
    return F.conv2d(F.conv2d(maps, taps.view(1, 1, -1, 1)), taps.view(1, 1, 1, -1))


def _pixels(batch: Batch) -> Sequence[np.ndarray]:
    return batch.pixels


def _signed(batch: Batch) -> Sequence[Tensor]:
    return list(batch.signed)


class _OfPixels:
    def needs(self) -> tuple[str, ...]:
        return ()

    def features(self, resources: Resources) -> Hashable:
        return resources.features("pixels", lambda: _pixels)


@kind("ssim")
@dataclass(frozen=True)
class Ssim(_OfPixels):
    """scikit-image SSIM column on bytes; `window` "gaussian" (11 taps, sigma 1.5) or "uniform" (7x7 box)."""

    window: Literal["gaussian", "uniform"]

    def prepare(self, resources: Resources) -> Pair:
        return Pair(self.features(resources), lambda generated, original: ssim(generated, original, window=self.window))


@kind("psnr")
@dataclass(frozen=True)
class Psnr(_OfPixels):
    """PSNR column in dB on bytes."""

    def prepare(self, resources: Resources) -> Pair:
        return Pair(self.features(resources), psnr)


@kind("mse")
@dataclass(frozen=True)
class Mse(_OfPixels):
    """Mean squared error column on the [-1, 1] scale."""

    def prepare(self, resources: Resources) -> Pair:
        return Pair(self.features(resources), mse)


@kind("ms_ssim")
@dataclass(frozen=True)
class MsSsim:
    """The lineage's MS-SSIM column on [-1, 1]; `value_range` "guess" (from the generated image) or "two"."""

    value_range: Literal["guess", "two"]

    def needs(self) -> tuple[str, ...]:
        return ()

    def prepare(self, resources: Resources) -> Pair:
        length = None if self.value_range == "guess" else 2.0
        key = resources.features("signed", lambda: _signed)
        return Pair(key, lambda generated, original: ms_ssim(generated, original, length))
