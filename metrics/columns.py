"""What a column of a protocol is made of: features of each image, and a comparison of two images' or of two sets'.

A kind of column ("frechet", "lpips", ...) is a frozen dataclass whose fields are its options in the protocol file:

    @kind("lpips")
    @dataclass(frozen=True)
    class Lpips(PairKind):
        net: Literal["alex", "vgg"]

`PairKind` gives one value an image, `SetKind` one value a set. A new kind is one module in this package; there is no
list of them: `known_kinds()` imports the modules and sees what registered itself.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from bench.core.contract import Domain
from bench.core.errors import MissingError
from bench.core.observer import Networks as World

T = TypeVar("T")


class Undefined(Exception):  # noqa: N818  (an answer, not an error)
    """Images or sets that have no value; the text is the reason."""


@dataclass(frozen=True)
class NoFace:
    """What stands where an image has no piece, or a pair no number ("no face found")."""

    reason: str


class Batch:
    """Stored images of one size on their way through the networks; each form is made once.

    Attributes:
        pixels: uint8 (h, w, 3) RGB arrays.
    """

    def __init__(self, pixels: Sequence[np.ndarray], device: torch.device) -> None:
        self.pixels = pixels
        self.device = device
        self._made: dict[Hashable, Any] = {}

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What several looks at this batch share (a network's maps), made by the first that asks."""
        if key not in self._made:
            self._made[key] = make()
        made: T = self._made[key]
        return made

    @cached_property
    def uint8(self) -> Tensor:
        """uint8 (N, 3, h, w) on the device."""
        return torch.from_numpy(np.stack(self.pixels)).permute(0, 3, 1, 2).contiguous().to(self.device)

    @cached_property
    def signed(self) -> Tensor:
        """float32 (N, 3, h, w) in [-1, 1]: /255, then (x - 0.5) / 0.5, as the lineage's loaders do."""
        return (self.uint8.float() / 255 - 0.5) / 0.5


# One piece an image, whatever the comparison needs; a `NoFace` where there is nothing to compare.
Extractor = Callable[[Batch], Sequence[Any]]


@dataclass
class Resources:
    """What kinds may ask for while an evaluator is put together.

    Attributes:
        domain: "faces" or "cars".
        device: Where networks run.
        weights: Path of an auxiliary network by registry name; raises MissingError.
        world: The synthetic world's networks, or None.
        extractors: By key: columns that need the same features share one.
        used: Registry name -> path of every file asked for, for the evaluator's digest.
    """

    domain: Domain
    device: torch.device
    weights: Callable[[str], Path]
    world: World | None = None
    extractors: dict[Hashable, Extractor] = field(default_factory=dict)
    used: dict[str, Path] = field(default_factory=dict)
    _shared: dict[Hashable, Any] = field(default_factory=dict)

    def path(self, name: str) -> Path:
        """Path of the network `name`, remembered for the digest. Raises MissingError with the command that gets it."""
        if name not in self.used:
            self.used[name] = Path(self.weights(name))
        return self.used[name]

    def features(self, key: Hashable, make: Callable[[], Extractor]) -> Hashable:
        """Register the extractor `key` unless another column did, and return the key."""
        if key not in self.extractors:
            self.extractors[key] = make()
        return key

    def shared(self, key: Hashable, make: Callable[[], T]) -> T:
        """A network several extractors use, made once."""
        if key not in self._shared:
            self._shared[key] = make()
        found: T = self._shared[key]
        return found

    def need_world(self) -> World:
        """The world's networks. Raises MissingError when none were given."""
        if self.world is None:
            raise MissingError(
                "the synthetic world's networks were not given", "use a synthetic preset, or another protocol"
            )
        return self.world


# Pieces of n generated and of n original images -> n numbers, or a `NoFace` where a pair has none. A number must not
# depend on the other images of its call.
Compare = Callable[[Sequence[Any], Sequence[Any]], Sequence[float | NoFace]]


@dataclass(frozen=True)
class Pair:
    """A pair column ready to run: which features it needs, and how pieces become numbers."""

    features: Hashable
    compare: Compare


class PairKind(Protocol):
    """Options of a column with one value an image; registered with `@kind`."""

    def needs(self) -> tuple[str, ...]:
        """Registry names of the networks it cannot do without ("world" for the synthetic ones)."""
        ...

    def prepare(self, resources: Resources) -> Pair:
        """The column ready to run. Raises MissingError for a network that is not here."""
        ...


class Influences(NamedTuple):
    """How much each image of two sets, float64 (n,) and (m,), moves a set metric: to first order, times the size of
    its set; both have mean zero.
    """

    generated: np.ndarray
    reference: np.ndarray


@dataclass(frozen=True)
class Estimate:
    """A set metric with what its interval is made of.

    Attributes:
        value: The metric.
        influences: See `Influences`.
        floor: Smallest possible value, 0 for a distance, None where the estimator may be negative.
    """

    value: float
    influences: Influences
    floor: float | None = 0.0


@runtime_checkable
class SetKind(Protocol):
    """Options of a column with one value a set; registered with `@kind`. What has all of this is no `PairKind`."""

    def needs(self) -> tuple[str, ...]:
        """As `PairKind.needs`, of its features; () where they are shared."""
        ...

    def shares(self) -> str | None:
        """Metric of the column whose features it uses, or None when it has its own."""
        ...

    def prepare(self, resources: Resources) -> Hashable:
        """The key of the extractor of its features, float32 (D,) arrays; not called when they are shared."""
        ...

    def measure(self, features: np.ndarray, reference: np.ndarray) -> Estimate:
        """The metric between (n, D) and (m, D) features. Raises Undefined when the sets are too small."""
        ...


_KINDS: dict[str, type] = {}
K = TypeVar("K", bound=type)


def kind(name: str) -> Callable[[K], K]:
    """Register a kind of column under the name that protocol files use."""

    def register(cls: K) -> K:
        if _KINDS.setdefault(name, cls) is not cls and _KINDS[name].__module__ != cls.__module__:
            raise ValueError(f"two kinds of column are called {name!r}: {_KINDS[name].__module__} and {cls.__module__}")
        _KINDS[name] = cls
        return cls

    return register


@cache
def known_kinds() -> Mapping[str, type]:
    """All registered kinds, after importing the modules of this package (not those of its sub-packages)."""
    import metrics

    for module in pkgutil.iter_modules(metrics.__path__, "metrics."):
        importlib.import_module(module.name)
    return _KINDS
