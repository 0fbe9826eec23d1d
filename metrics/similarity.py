"""Pixel similarity: SSIM (scikit-image's), the lineage's MS-SSIM, MSE and PSNR (protocol card 3.3).

Pure functions of two batches of images of one size, on the device they are on; the first are the generated ones, the
second the originals. Their numbers are those of the reference libraries to 1e-6 and better (`test_similarity.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from .columns import Batch, Compare, NoFace, Pair, Resources, Undefined, kind

# Weights of the five scales, fine to coarse (Wang, Simoncelli and Bovik 2003).
_SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_WINDOW, _SIGMA = 11, 1.5
_HIGHEST_PSNR = 100.0
# Least side of which five scales can be made.
_LEAST_SIDE = _WINDOW * 2 ** (len(_SCALES) - 1)
# Numbers of an image that a CPU filters at a time: one channel at 256 px, whose maps stay in a core's cache.
_AT_ONCE = 2**16


def ssim(
    generated: Tensor,
    original: Tensor,
    *,
    window: str = "gaussian",
    data_range: float = 255,
    sample_covariance: bool | None = None,
) -> Tensor:
    """SSIM of images (N, C, h, w) of any dtype, float64 (N,): mean over space and channels; at most 1.

    scikit-image's `structural_similarity`, in batches and in float64. `window` "gaussian": 11 taps of sigma 1.5 and,
    unless told otherwise, population covariance, as the SSIM paper has it. "uniform": scikit-image's default, a 7x7 box
    with sample covariance. `data_range`: 255 for uint8, 2 for floats in [-1, 1]. Only windows that lie inside count.

    Raises:
        Undefined: The images are smaller than the window.
    """
    taps = _gaussian_taps().tolist() if window == "gaussian" else [1 / 7] * 7
    _refuse_small(generated, len(taps))
    unbiased = window != "gaussian" if sample_covariance is None else sample_covariance
    norm = len(taps) ** 2 / (len(taps) ** 2 - 1) if unbiased else 1.0
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    # Image by image: no number depends on the batch.
    means = []
    for a, b in zip(generated, original, strict=True):
        pairs = zip(_pieces(a), _pieces(b), strict=True)
        maps = [_ssim_map(x.double(), y.double(), taps, norm, c1, c2) for x, y in pairs]
        means.append(torch.cat(maps).mean())
    return torch.stack(means)


def _pieces(image: Tensor) -> Sequence[Tensor]:
    """An image (C, h, w) in as many channels at a time as stay in a processor's cache; whole on any other device."""
    if image.device.type != "cpu":
        return (image,)
    return image.split(max(1, _AT_ONCE // image[0].numel()))


def _ssim_map(x: Tensor, y: Tensor, taps: Sequence[float], norm: float, c1: float, c2: float) -> Tensor:
    """SSIM at every place of some channels, float64 (C, h, w). Both variances are asked for only as their sum: four
    filters, not five."""
    mean_x, mean_y = _filtered(x, taps), _filtered(y, taps)
    product, squares = mean_x * mean_y, mean_x.square().add_(mean_y.square())
    covariance = (_filtered(x * y, taps) - product).mul_(2 * norm).add_(c2)
    variances = (_filtered(x.square().add_(y.square()), taps) - squares).mul_(norm).add_(c2)
    return product.mul_(2).add_(c1).mul_(covariance).div_(squares.add_(c1).mul_(variances))


def _filtered(x: Tensor, taps: Sequence[float]) -> Tensor:
    """(C, h, w) under a symmetric separable window, without padding: shifted copies added up, faster than
    convolving."""
    for axis in (1, 2):
        length, half = x.shape[axis] - len(taps) + 1, len(taps) // 2
        total = x.narrow(axis, half, length) * taps[half]
        for at in range(half):
            total += (x.narrow(axis, at, length) + x.narrow(axis, len(taps) - 1 - at, length)).mul_(taps[at])
        x = total
    return x


def psnr(generated: Tensor, original: Tensor) -> Tensor:
    """PSNR in dB of uint8 images (N, C, h, w), float64 (N,), peak 255; at most 100 dB, which identical images get."""
    error = _squared_error(generated, original)
    return torch.where(error == 0, _HIGHEST_PSNR, (10 * torch.log10(255**2 / error)).clamp(max=_HIGHEST_PSNR))


def mse(generated: Tensor, original: Tensor) -> Tensor:
    """Mean squared error of uint8 images (N, C, h, w) on the [-1, 1] scale (the lineage's "L2"), float64 (N,)."""
    return _squared_error(generated, original) / 127.5**2


def _squared_error(generated: Tensor, original: Tensor) -> Tensor:
    """(N,) float64 on bytes: sums of whole numbers, so the same on every device and in every order."""
    squares = generated.float().sub_(original).square_().flatten(1)
    # 256 times 255 squared is less than 2 to the 24th: float32 adds so many without rounding.
    runs = F.pad(squares, (0, -squares.shape[1] % 256)).unflatten(1, (-1, 256)).sum(2)
    return runs.cpu().double().sum(1) / generated[0].numel()


def lineage_ssim(generated: Tensor, original: Tensor, value_range: float | None = None) -> tuple[Tensor, Tensor]:
    """(SSIM, contrast-structure term) of float32 images (N, 3, h, w), each (N,): means over space and channels.

    `value_range` None guesses L from the generated image, as the lineage does: (255 if max > 128 else 1) minus
    (-1 if min < -0.5 else 0), so L is 2 for most images in [-1, 1] but 1 for one without anything dark.
    """
    lengths = _guessed_range(generated) if value_range is None else torch.full_like(generated[:, 0, 0, 0], value_range)
    terms = [_lineage_terms(x, y, length) for x, y, length in zip(generated, original, lengths.tolist(), strict=True)]
    full, contrast = (torch.stack(each) for each in zip(*terms, strict=True))
    return full, contrast


def _lineage_terms(x: Tensor, y: Tensor, length: float) -> tuple[Tensor, Tensor]:
    """The two terms of one pair (3, h, w)."""
    c1, c2 = (0.01 * length) ** 2, (0.03 * length) ** 2
    taps = _gaussian_taps().tolist()
    terms = []
    for a, b in zip(_pieces(x), _pieces(y), strict=True):
        mean_x, mean_y = _filtered(a, taps), _filtered(b, taps)
        squares, product = _filtered(a * a + b * b, taps), _filtered(a * b, taps)
        both, means = mean_x * mean_y, mean_x.square().add_(mean_y.square())
        contrast = (product - both).mul_(2).add_(c2).div_(squares.sub_(means).add_(c2))
        full = both.mul_(2).add_(c1).div_(means.add_(c1)).mul_(contrast)
        # Channel by channel, so that no mean depends on how many there are in a piece.
        terms += [torch.stack([one.mean(), other.mean()]) for one, other in zip(full, contrast, strict=True)]
    full, contrast = torch.stack(terms).mean(0)
    return full, contrast


def ms_ssim(generated: Tensor, original: Tensor, value_range: float | None = None) -> Tensor:
    """The lineage's MS-SSIM of float32 images (N, 3, h, w) in [-1, 1], (N,); higher is better, at most 1.

    Five scales with 2x2 average pooling between them; the contrast terms of the first four and the SSIM of the fifth,
    each to the power of its scale's weight. It is not invariant to an offset: on [-1, 1] it is lower than on bytes.
    NaN where a factor is negative (a fractional power of it is NaN in the lineage, too).

    Raises:
        Undefined: The images are too small.
    """
    _refuse_small(generated, _LEAST_SIDE)
    factors = []
    for scale in range(len(_SCALES)):
        full, contrast = lineage_ssim(generated, original, value_range)
        factors.append(contrast if scale < len(_SCALES) - 1 else full)
        generated, original = F.avg_pool2d(generated, 2), F.avg_pool2d(original, 2)
    stacked = torch.stack(factors, 1)
    return torch.prod(stacked ** torch.tensor(_SCALES, device=stacked.device), 1)


def _refuse_small(images: Tensor, least: int) -> None:
    """Raise Undefined where a side of the images (..., h, w) is shorter than a measure needs."""
    if min(images.shape[-2:]) < least:
        what = "too small for five scales of MS-SSIM" if least == _LEAST_SIDE else "smaller than SSIM's window"
        raise Undefined(f"the image is {what}")


def _guessed_range(images: Tensor) -> Tensor:
    """(N,) of images (N, C, h, w)."""
    flat = images.flatten(1)
    high = torch.where(flat.amax(1) > 128, 255.0, 1.0)
    low = torch.where(flat.amin(1) < -0.5, -1.0, 0.0)
    return high - low


def _gaussian_taps() -> Tensor:
    at = torch.arange(_WINDOW, dtype=torch.float64) - _WINDOW // 2
    taps = torch.exp(-(at**2) / (2 * _SIGMA**2))
    return taps / taps.sum()


def _pixels(batch: Batch) -> Sequence[Tensor]:
    return list(batch.uint8)


def _signed(batch: Batch) -> Sequence[Tensor]:
    return list(batch.signed)


def _in_one_call(
    measure: Callable[[Tensor, Tensor], Tensor], *, itself: float, least: int = 1, nan: str = ""
) -> Compare:
    """A comparison of lists of images (C, h, w) by a function of two batches.

    Args:
        itself: What it gives for an image and itself, to the last digit: for the real images' own rows nothing is
            computed.
        least: Least side that it takes.
        nan: What a NaN of it means.
    """

    def compare(generated: Sequence[Tensor], original: Sequence[Tensor]) -> Sequence[float | NoFace]:
        try:
            if all(one is other for one, other in zip(generated, original, strict=True)):
                _refuse_small(generated[0], least)
                return [itself] * len(generated)
            found = measure(torch.stack(list(generated)), torch.stack(list(original))).tolist()
        except Undefined as reason:
            return [NoFace(str(reason))] * len(generated)
        return [NoFace(nan) if nan and math.isnan(value) else value for value in found]

    return compare


class _OfPixels:
    def needs(self) -> tuple[str, ...]:
        return ()

    def features(self, resources: Resources) -> Hashable:
        return resources.features("pixels", lambda: _pixels)


@kind("ssim")
@dataclass(frozen=True)
class Ssim(_OfPixels):
    """Column of scikit-image's SSIM on bytes; `window` "gaussian" (11 taps, sigma 1.5) or "uniform" (7x7 box)."""

    window: Literal["gaussian", "uniform"]

    def prepare(self, resources: Resources) -> Pair:
        """Stored images and their SSIM."""
        least = _WINDOW if self.window == "gaussian" else 7
        return Pair(self.features(resources), _in_one_call(partial(ssim, window=self.window), itself=1.0, least=least))


@kind("psnr")
@dataclass(frozen=True)
class Psnr(_OfPixels):
    """PSNR column in dB on bytes."""

    def prepare(self, resources: Resources) -> Pair:
        """Stored images and their PSNR, dB."""
        return Pair(self.features(resources), _in_one_call(psnr, itself=_HIGHEST_PSNR))


@kind("mse")
@dataclass(frozen=True)
class Mse(_OfPixels):
    """Mean squared error column on the [-1, 1] scale."""

    def prepare(self, resources: Resources) -> Pair:
        """Stored images and their mean squared error."""
        return Pair(self.features(resources), _in_one_call(mse, itself=0.0))


@kind("ms_ssim")
@dataclass(frozen=True)
class MsSsim:
    """The lineage's MS-SSIM column on [-1, 1]; `value_range` "guess" (from the generated image) or "two"."""

    value_range: Literal["guess", "two"]

    def needs(self) -> tuple[str, ...]:
        """Nothing."""
        return ()

    def prepare(self, resources: Resources) -> Pair:
        """Images and their MS-SSIM, by the range that is guessed or fixed."""
        length = None if self.value_range == "guess" else 2.0
        key = resources.features("signed", lambda: _signed)
        measure = partial(ms_ssim, value_range=length)
        nan = "MS-SSIM is NaN: a scale's factor is negative"
        return Pair(key, _in_one_call(measure, itself=1.0, least=_LEAST_SIDE, nan=nan))
