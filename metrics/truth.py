"""Distance of an edited image to the true edit, where a renderer knows it: pure functions of images.

These columns exist only in a synthetic world; no real photograph has a second one with exactly the head turned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from .similarity import psnr, ssim


def distance_to_truth(
    edited: np.ndarray, truth: np.ndarray, perceptual: Callable[[np.ndarray, np.ndarray], float] | None = None
) -> Mapping[str, float]:
    """PSNR in dB (at most 100), SSIM (Gaussian window, on bytes) and perceptual distance of an edit to its truth.

    Args:
        edited, truth: uint8 (h, w, 3), same size; h and w at least 11.
        perceptual: Distance of two such images (`metrics.synthetic.perceptual_distance`), or None to leave it out.

    Returns:
        {"truth_psnr", "truth_ssim"} and, with `perceptual`, "truth_lpips".
    """
    if edited.shape != truth.shape:
        raise ValueError(f"pictures of different size: {edited.shape} and {truth.shape}")
    result = {"truth_psnr": psnr(edited, truth), "truth_ssim": ssim(edited, truth)}
    if perceptual is not None:
        result["truth_lpips"] = perceptual(edited, truth)
    return result
