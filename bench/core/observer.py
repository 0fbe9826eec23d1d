"""What a kind of data set may offer beside its images: observers who know the truth, and networks trained on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from torch import Tensor

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


class Networks(Protocol):
    """Networks that come with a kind of data set: protocols may measure with them, and matched strengths do.

    All take float32 (N, 3, h, w) in [-1, 1]. `digest` is a hex SHA-256 of their weights.
    """

    @property
    def digest(self) -> str: ...

    def features(self, images: Tensor, /) -> Sequence[Tensor]:
        """Feature maps, fine to coarse: a list of (N, C, h, w)."""
        ...

    def pooled(self, images: Tensor, /) -> Tensor:
        """One vector an image for the Fréchet distance, (N, D)."""
        ...

    def embed(self, images: Tensor, /) -> Tensor:
        """Identity embeddings of length 1, (N, E)."""
        ...

    def attributes(self, images: Tensor, /) -> Mapping[str, Tensor]:
        """Measured attributes, name -> (N,)."""
        ...
