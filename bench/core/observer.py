"""Further measurements of an edited image, by whoever knows more than a protocol does (a world with truth)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from bench.core.contract import EditPass, ImageRecord


@dataclass(frozen=True)
class Observation:
    """What an observer saw.

    Attributes:
        values: Stem -> float, merged into the row ("truth_psnr"); NaN becomes a failure.
        failures: Stem -> why this value is absent.
    """

    values: Mapping[str, float] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)


class Observer(Protocol):
    """Called once a generated image. What it says must depend on its arguments alone.

    Attributes:
        digest: Hex SHA-256 of everything it measures with; part of the keys, since a changed observer is a new result.
    """

    digest: str

    def observe(
        self, image: ImageRecord, edit: EditPass, output: np.ndarray, announced: Mapping[str, np.ndarray]
    ) -> Observation:
        """Measure one image.

        Args:
            image: The real image that was edited.
            edit: The pass.
            output: uint8 (H, W, 3), what the method made, by the protocol's rounding.
            announced: What the method announced while making it, e.g. {"flow": float32 (2, h, w)}.
        """
        ...

    def truth(self, image: ImageRecord, edit: EditPass) -> np.ndarray | None:
        """The true edited image for the grids, uint8 (H, W, 3), where there is one."""
        ...

    def true_flow(self, image: ImageRecord, edit: EditPass) -> np.ndarray | None:
        """The true flow for the grids, float32 (2, h, w) in cells like an announced one, where there is one."""
        ...
