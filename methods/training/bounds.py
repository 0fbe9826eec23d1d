"""What numbers of a recipe may be, as the types of its fields; `bench.core.schema` holds values against them."""

from __future__ import annotations

from typing import Annotated

from bench.core.errors import UsageError
from bench.core.schema import Bounds

Seed = Annotated[int, Bounds(0, 2**32 - 1)]
Count = Annotated[int, Bounds(1, 10**9)]
CountOrNone = Annotated[int, Bounds(0, 10**9)]
Weight = Annotated[float, Bounds(0)]
Share = Annotated[float, Bounds(0, 1)]
Factor = Annotated[float, Bounds(above=0)]
Decay = Annotated[float, Bounds(0, below=1)]


def check_alpha(alpha: tuple[float, float]) -> None:
    """Raise UsageError where the strengths of simulated edits are no range."""
    if alpha[0] > alpha[1]:
        raise UsageError(f"alpha = {list(alpha)} is no range", "alpha = [0.4, 0.5]")


def check_groups(images: int) -> None:
    """Raise UsageError where a discriminator's minibatch deviation cannot take a process's images: in groups of 4."""
    if images % min(images, 4):
        raise UsageError(
            f"the discriminator compares images in groups of 4, which a batch of {images} (in each process) has not",
            "--set batch=N, a multiple of 4 in each process, or fewer than 4",
        )


def check_warm_up(name: str, first: int, steps: int) -> None:
    """Raise UsageError where the first steps, which train something else (the option `name`), are all that there are.

    `steps` may be few by `--budget`.
    """
    if first >= steps:
        raise UsageError(f"{name} = {first} leaves nothing of {steps} steps", f"more steps, or --set {name}=N")
