"""Floor rows: what a perfect method would get, which published tables lack (protocol card 2).

The other floors need nothing of their own. "No edit" and "real against real" are the method "real" under every pass:
its features against the pass's reals (FID of real not-smiling against real smiling pictures), its picture against
itself. "Real JPEG against real PNG" is `ProtocolJudge.store_lossless` scored against `store`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .protocol import ProtocolFile
from .summary import Cell, summarise


def random_halves(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two index arrays that split `count` pictures at random into halves of count // 2 (an odd one is left out)."""
    order = np.random.default_rng(seed).permutation(count)
    half = count // 2
    return np.sort(order[:half]), np.sort(order[half : 2 * half])


def half_split(features: Mapping[str, np.ndarray], protocol: ProtocolFile) -> Mapping[str, Cell]:
    """Set metrics between random halves of the real pictures' features, stem -> float32 (n, D).

    The floor of FID and KID. At half of N a Fréchet distance is larger than at N; the cells say their N.
    """
    first: dict[str, np.ndarray] = {}
    second: dict[str, np.ndarray] = {}
    for stem, array in features.items():
        one, other = random_halves(len(array), protocol.numbers.seed)
        first[stem], second[stem] = array[one], array[other]
    return summarise([], [], first, second, protocol)
