"""What directions are fitted on: a method over a generator that new images can be drawn from."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor

from bench.core.contract import Method


class GeneratorSizes(Protocol):
    """Sizes of a StyleGAN2 generator: side of its square image, rows L and width D of its codes."""

    @property
    def size(self) -> int:
        """Side of the image in pixels."""
        ...

    @property
    def rows(self) -> int:
        """L of W+ codes."""
        ...

    @property
    def style_dim(self) -> int:
        """D, of z and of w."""
        ...


class SampledGenerator(Protocol):
    """A StyleGAN2 generator with its mapping network, as far as samples are drawn from it."""

    @property
    def config(self) -> GeneratorSizes:
        """Its sizes."""
        ...

    def mapping(self, z: Tensor) -> Tensor:
        """w (N, D) of z (N, D)."""
        ...

    def broadcast(self, codes: Tensor) -> Tensor:
        """w (N, D) as codes of all rows, (N, L, D)."""
        ...

    def __call__(self, codes: Tensor) -> Tensor:
        """Square images (N, 3, s, s) in about [-1, 1] of codes (N, L, D)."""
        ...


@runtime_checkable
class DrawsSamples(Method, Protocol):
    """A method over a generator that new images can be drawn from, which directions are fitted on."""

    @property
    def sampled_generator(self) -> SampledGenerator:
        """The generator, of the method itself or of its base encoder."""
        ...

    def crop(self, images: Tensor) -> Tensor:
        """The part (N, 3, H, W) of the generator's square images that is the method's image (cars: middle rows)."""
        ...
