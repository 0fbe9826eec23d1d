"""What a kind of data set may offer beside its images: observers who know the truth, and networks trained on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from torch import Tensor

from bench.core.contract import EditPass, ImageRecord


@dataclass(frozen=True, eq=False)
class Output:
    """One edited image, as observers are shown it.

    Attributes:
        image: The real image that was edited, and `original`, its pixels: uint8 (H, W, 3).
        edit: The pass.
        pixels: uint8 (H, W, 3), what the method made, by the protocol's rounding.
        announced: What the method announced while making it, e.g. {"flow": float32 (2, h, w)}.
    """

    image: ImageRecord
    original: np.ndarray
    edit: EditPass
    pixels: np.ndarray
    announced: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Observation:
    """What an observer saw.

    Attributes:
        values: Metric -> float, merged into the row ("achieved"); NaN becomes a failure.
        failures: Metric -> why this value is absent.
        truth: The true edited image at the change that this output achieved, uint8 (H, W, 3): the protocol's pair
            metrics between the two become the columns `truth_<metric>`.
    """

    values: Mapping[str, float] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    truth: np.ndarray | None = None


class Observer(Protocol):
    """Looks at generated images in batches. What it says of one must not depend on the others.

    Attributes:
        digest: Hex SHA-256 of everything it measures with; part of the keys, since a changed observer is a new result.
    """

    digest: str

    def knows(self, edit: EditPass) -> bool:
        """Whether there is a true edit for this pass."""
        ...

    def observe(self, outputs: Sequence[Output | None]) -> Sequence[Observation]:
        """One observation a place, in order; an image is always at the same place, and empty places are None."""
        ...

    def asked(self, edits: Sequence[tuple[ImageRecord, EditPass] | None]) -> Sequence[np.ndarray | None]:
        """The true edited images as they were asked for, uint8 (H, W, 3): the same for every method.

        The protocol's pair metrics between an output and this one become the columns `asked_<metric>`. Places as in
        `observe`; None where there is no image, or no truth.
        """
        ...

    def asked_strength(self, edit: EditPass, images: Sequence[ImageRecord], change: float) -> float | None:
        """The strength that asks these people for `change` on average; None where nothing is known to be asked."""
        ...

    def asked_flow(self, image: ImageRecord, edit: EditPass) -> np.ndarray | None:
        """The true flow of the asked edit for the grids, float32 (2, h, w) in cells like an announced one."""
        ...


class Networks(Protocol):
    """Networks that come with a kind of data set: protocols may measure with them, and matched strengths do.

    Images are float32 (N, 3, h, w) in [-1, 1]. `digest` is a hex SHA-256 of their weights.
    """

    @property
    def digest(self) -> str:
        """Hex SHA-256 of the weights."""
        ...

    def features(self, images: Tensor, /) -> Sequence[Tensor]:
        """Feature maps, fine to coarse: a list of (N, C, h, w)."""
        ...

    def pooled(self, maps: Sequence[Tensor], /) -> Tensor:
        """One vector an image for the Fréchet distance, (N, D), from its feature maps."""
        ...

    def embed(self, images: Tensor, /) -> Tensor:
        """Identity embeddings of length 1, (N, E)."""
        ...

    def attributes(self, images: Tensor, /) -> Mapping[str, Tensor]:
        """Measured attributes, name -> (N,)."""
        ...
