"""Types of options: numbers within bounds, so that a value out of them is wrong usage and no surprise later."""

from __future__ import annotations

import math
from argparse import ArgumentTypeError
from collections.abc import Callable

# What every generator of random numbers here takes.
LARGEST_SEED = 2**63 - 1


def whole(low: int, high: int = 10**9) -> Callable[[str], int]:
    """A whole number from `low` to `high`."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise ArgumentTypeError(f"{text[:40]!r} is no whole number") from None
        if not low <= value <= high:
            raise ArgumentTypeError(
                f"must be {f'at least {low}' if value < low else f'at most {high}'}, not {text[:40]}"
            )
        return value

    return read


def number(low: float, high: float) -> Callable[[str], float]:
    """A finite number from `low` to `high`."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise ArgumentTypeError(f"must be a number from {low:g} to {high:g}, not {text[:40]}")
        return value

    return read


seed = whole(0, LARGEST_SEED)
