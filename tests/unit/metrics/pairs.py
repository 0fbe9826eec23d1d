"""The image pairs of the similarity and LPIPS reference values: float32 (3, 256, 256) in [-1, 1]."""

from __future__ import annotations

from functools import cache

import numpy as np

from tests.filling import fill, golden_image

NAMES = ("mild", "noisy", "unrelated", "identical", "negative", "dark_shift")


@cache
def pair(name: str) -> tuple[np.ndarray, np.ndarray]:
    first = golden_image(0, 2, 256).numpy()
    x = first[0]
    match name:
        case "mild":
            return x, np.clip(0.92 * x + 0.08 * golden_image(1, 2, 256).numpy()[0], -1, 1)
        case "noisy":
            return x, np.clip(x + 0.10 * fill("metrics.ssim.noise", (3, 256, 256), ["normal", 1.0]), -1, 1)
        case "unrelated":
            return x, first[1]
        case "identical":
            return x, x
        case "negative":
            return x, -x
        case "dark_shift":
            return np.clip(0.4 * x + 0.5, -1, 1), np.clip(0.4 * x + 0.45, -1, 1)
    raise AssertionError(f"no rule for the pair {name}")
