"""Comparing tensors with a golden, in the forms the goldens are stored in, and keeping score for the parity card."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tests.parity.goldens import golden

CARDS = Path(__file__).parent / "cards"
Scale = Literal["element", "max", "rms", "absolute"]
_RULES: dict[Scale, str] = {
    "element": "atol + rtol |b|",
    "max": "atol + rtol max|b|",
    "rms": "atol max(1, rms b)",
    "absolute": "atol",
}


@dataclass
class Comparison:
    """One golden: `check` compares an array, `card` says how it went.

    Attributes:
        name: Golden ("e4e_ffhq").
        scale: How the relative part of the tolerance is meant: of each element, of the largest, `atol * max(1, rms)`,
            or none.
        atol, rtol: Tolerances, from the golden's meta.
        deviations: Array -> (largest absolute deviation, its share of the tolerance).
        stricter: Arrays that were held to less than the golden's common tolerance.
    """

    name: str
    scale: Scale = "element"
    atol: float = 2e-4
    rtol: float = 1e-4
    deviations: dict[str, tuple[float, float]] = field(default_factory=dict)
    stricter: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, name: str) -> Comparison:
        """A comparison with the rule and the numbers of the golden's own meta."""
        tolerance = golden(name)[1]["tolerance"]
        if isinstance(tolerance, dict) and "cpu_float32" in tolerance:
            if found := re.search(r"max abs error <= ([\d.e-]+)", tolerance["cpu_float32"]):
                return cls(name, "absolute", float(found[1]), 0.0)
            atol, rtol = (float(value) for value in re.findall(r"[ar]tol ([\d.e-]+)", tolerance["cpu_float32"]))
            return cls(name, "element", atol, rtol)
        if isinstance(tolerance, dict):
            return cls(name, "max", tolerance["atol"], tolerance["rtol"])
        if found := re.search(r"([\d.e-]+) \* max\(1, rms", tolerance):
            return cls(name, "rms", float(found[1]), 0.0)
        found = re.search(r"max abs diff <= ([\d.e-]+)|^([\d.e-]+) absolute", tolerance)
        assert found, f"no rule for {tolerance!r}"
        return cls(name, "absolute", float(found[1] or found[2]), 0.0)

    def expected(self, key: str) -> np.ndarray:
        arrays = golden(self.name)[0]
        assert key in arrays, f"{self.name} has no {key}: give it to check_all as absent, with the reason"
        return arrays[key]

    def unchecked(self) -> list[str]:
        """The golden's arrays that nothing was compared with."""
        return sorted(golden(self.name)[0].keys() - self.deviations.keys())

    def check(
        self,
        key: str,
        actual: Tensor | np.ndarray,
        expected: np.ndarray | None = None,
        *,
        atol: float | None = None,
    ) -> None:
        """Assert that `actual` is the golden's array `key` within tolerance.

        Args:
            expected: A part of the array, or one made of others of the golden.
            atol: Its own tolerance, absolute, where it has one.
        """
        expected = self.expected(key) if expected is None else expected
        if atol is not None:
            self.stricter.add(key)
        values = actual.detach().cpu().numpy() if isinstance(actual, Tensor) else np.asarray(actual)
        assert values.shape == expected.shape, f"{self.name}:{key} has shape {values.shape}, expected {expected.shape}"
        deviation = np.abs(values.astype(np.float64) - expected.astype(np.float64))
        allowed = self._allowed(expected.astype(np.float64)) if atol is None else atol
        share = float((deviation / allowed).max())
        old = self.deviations.get(key, (0.0, 0.0))
        self.deviations[key] = (max(old[0], float(deviation.max())), max(old[1], share))
        assert share <= 1, f"{self.name}:{key} deviates by {deviation.max():.2e}, {share:.1f} times the tolerance"

    def check_all(self, arrays: Mapping[str, Tensor], *, absent: Mapping[str, str] | None = None) -> None:
        """`check` every array of a summary; `absent` are those that the golden does not hold -> why."""
        for key in absent or {}:
            assert key in arrays and key not in golden(self.name)[0], f"{self.name}: {key} is not absent"
        for key in arrays.keys() - (absent or {}).keys():
            self.check(key, arrays[key])

    def _allowed(self, expected: np.ndarray) -> Any:
        if self.scale == "element":
            return self.atol + self.rtol * np.abs(expected)
        if self.scale == "max":
            return self.atol + self.rtol * np.abs(expected).max()
        if self.scale == "absolute":
            return self.atol
        return self.atol * max(1.0, float(np.sqrt(np.mean(expected**2))))

    def card(self, method: str = "", domain: str = "") -> dict[str, Any]:
        """The parity card: largest deviation, the array it is in, tolerance and date."""
        worst = max(self.deviations, key=lambda key: self.deviations[key][1])
        tolerance = {"rule": _RULES[self.scale], "atol": self.atol, "rtol": self.rtol}
        return {
            "golden": self.name,
            "method": method,
            "domain": domain,
            "arrays": len(self.deviations),
            "largest_deviation": float(f"{max(value for value, _ in self.deviations.values()):.2e}"),
            "largest_share_of_tolerance": float(f"{self.deviations[worst][1]:.3f}"),
            "worst_array": worst,
            "tolerance": {**tolerance, "stricter_arrays": len(self.stricter)} if self.stricter else tolerance,
            "device": "cpu float32",
            "torch": torch.__version__.split("+")[0],
            "date": datetime.date.today().isoformat(),
        }

    def write_card(self, method: str = "", domain: str = "") -> None:
        CARDS.mkdir(exist_ok=True)
        text = json.dumps(self.card(method, domain), indent=1)
        (CARDS / f"{self.name}.json").write_text(text + "\n")


def write_cards(made: Iterable[tuple[Comparison, str, str]]) -> None:
    """Cards of (comparison, method, domain), where every array was compared: part of a golden says too little."""
    for recorder, method, domain in made:
        if not recorder.unchecked():
            recorder.write_card(method, domain)


def pooled(x: Tensor, size: int = 64) -> Tensor:
    return F.adaptive_avg_pool2d(x, size)


def windows(x: Tensor, side: int = 32, axis: int = 1) -> Tensor:
    """Two full-resolution windows at (H/4, W/4) and (H/2, W/2), stacked on `axis`."""
    h, w = x.shape[-2:]
    corners = ((h // 4, w // 4), (h // 2, w // 2))
    return torch.stack([x[..., top : top + side, left : left + side] for top, left in corners], axis)


def channel_groups(x: Tensor, groups: int) -> Tensor:
    """Consecutive channels averaged into `groups` equal groups."""
    return x.unflatten(1, (groups, -1)).mean(2)


def image_summary(name: str, x: Tensor) -> dict[str, Tensor]:
    """An image in the form of the pSp, e4e, StyleTransformer and StyleGAN2 goldens."""
    return {
        f"{name}_pool": pooled(x),
        f"{name}_crop": windows(x, axis=0),
        f"{name}_mean": x.mean(),
        f"{name}_std": x.std(),
    }


def check_small_image(expected: Comparison, image: Tensor, size: tuple[int, int]) -> None:
    """The golden's "image256": the image averaged to the encoder's input size."""
    expected.check_all(
        image_summary("image256", F.adaptive_avg_pool2d(image, size)),
        absent={"image256_pool": "the averages of image_pool", "image256_crop": "left out to stay small"},
    )


def feature_summary(name: str, x: Tensor) -> dict[str, Tensor]:
    """A feature (N, C, h, w) in the form of the same goldens."""
    height, width = x.shape[-2:]
    window = 8 if min(height, width) >= 16 else min(height, width) // 2
    pool = channel_groups(x, 16)
    return {
        f"{name}_pool": F.adaptive_avg_pool2d(pool, (min(16, height), min(16, width))),
        f"{name}_crop": windows(x[:, :: x.shape[1] // 16], window, axis=0),
        f"{name}_mean": x.mean(),
        f"{name}_std": x.std(),
    }


def batch_summary(name: str, x: Tensor) -> dict[str, Tensor]:
    """An image in the form of the ReStyle and HyperStyle goldens: everything per image."""
    return {
        f"{name}_pool": pooled(x),
        f"{name}_crop": windows(x),
        f"{name}_mean": x.mean((2, 3)),
        f"{name}_std": x.std((2, 3), unbiased=False),
        f"{name}_shape": torch.tensor(x.shape),
    }
