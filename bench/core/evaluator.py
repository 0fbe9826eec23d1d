"""What measures images: a protocol with its networks, and what it says of one image."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from torch import Tensor

from bench.core.domains import Domain
from bench.core.errors import MissingError

# What a protocol feeds to methods: the data set's image, or the image as it stores it.
InputSource = Literal["original", "stored"]
# What every result says beside its metrics, as columns of a data frame; no metric is called so.
ABOUT = ("method", "pass", "image", "protocol", "strength", "status", "reason", "failures")
# What an evaluator saw in one image, by whatever it looked with; only that evaluator can read it.
Features = Mapping[Hashable, object]


@dataclass(frozen=True)
class Scored:
    """What one protocol says of one image of one pass.

    Attributes:
        values: Pair metrics by name, e.g. {"lpips": 0.12, "id": 0.71}; a value that could not be had is absent.
        features: Set-metric features by name, e.g. {"fid": float32 (2048,)}.
        failures: Metric -> reason, for values that are absent ("no face found").
    """

    values: Mapping[str, float]
    features: Mapping[str, np.ndarray]
    failures: Mapping[str, str]


class Evaluator(Protocol):
    """A protocol with its networks loaded: turns images into `Scored`.

    Attributes:
        protocol: Protocol name ("paper-1"); columns are written `<metric>@<protocol>`.
        domain: "faces" or "cars": columns of the other are left out.
        digest: SHA-256 over the protocol file, every network it uses and the code of both; part of each result's key.
        networks_digest: The same without the code: runs of one can be compared, whatever version made them.
        pair_metrics: Metrics with one value an image, in column order.
        set_metrics: Metrics over a set of features ("fid", "kid").
        feature_metrics: Those of them that keep features of their own; the others share ("kid" takes those of "fid").
        missing: Metric -> why it cannot be measured here, what it lacks, and the command that changes that.
        lossy: Whether `store` goes through JPEG, so that what this alone costs can be measured on real images.
        input_source: What methods are fed.
        rules_digest: SHA-256 of the protocol file alone: whoever makes tables of the rows must read the same one.
        planned_features: As `feature_metrics`, with those whose network is not here yet.
        column_digests: Metric -> SHA-256 of all that decides what it puts into a row (how images are kept, options,
            networks, code), for those that put anything there: two protocols whose digests of a metric are equal
            measure it alike.
    """

    protocol: str
    domain: Domain
    digest: str
    networks_digest: str
    pair_metrics: tuple[str, ...]
    set_metrics: tuple[str, ...]
    feature_metrics: tuple[str, ...]
    missing: Mapping[str, MissingError]
    column_digests: Mapping[str, str]

    @property
    def lossy(self) -> bool:
        """Whether `store` goes through JPEG."""
        ...

    @property
    def input_source(self) -> InputSource:
        """What methods are fed."""
        ...

    @property
    def rules_digest(self) -> str:
        """SHA-256 of the protocol file alone."""
        ...

    @property
    def planned_features(self) -> tuple[str, ...]:
        """Metrics with features of their own, those whose network is not here yet included."""
        ...

    def only(self, metrics: Collection[str]) -> Evaluator:
        """The same evaluator, which measures these metrics alone; its digests stay."""
        ...

    def store(self, pixels: np.ndarray) -> np.ndarray:
        """A uint8 (H, W, 3) image as the protocol keeps it: uint8 (h, w, 3), resized, through JPEG or not."""
        ...

    def store_lossless(self, pixels: np.ndarray) -> np.ndarray:
        """As `store`, but never through JPEG: the first step of it."""
        ...

    def compress(self, lossless: np.ndarray) -> np.ndarray:
        """The second step of `store`: through JPEG where `lossy`, else unchanged."""
        ...

    def to_uint8(self, images: Tensor) -> np.ndarray:
        """Generated float (N, 3, H, W) images in about [-1, 1] as uint8 (N, H, W, 3), by the protocol's rounding
        rule. Raises ImageError where one holds NaN or infinity."""
        ...

    def extract(self, stored: Sequence[np.ndarray]) -> Sequence[Features]:
        """Extractor at stored images once with every network; what was seen in each."""
        ...

    def compare(self, generated: Sequence[Features], original: Sequence[Features]) -> Sequence[Scored]:
        """Compare descriptions of n images pair by pair: the generated ones and the real inputs (or true edits)."""
        ...
