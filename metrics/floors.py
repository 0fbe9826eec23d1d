"""Floor rows: what a perfect method would get, which published tables lack (protocol card 2).

The other floors come from rows. "No edit" is the method "real" under every edit: its features against the pass's real
images (FID of real not-smiling against real smiling images), its image against itself (which moves only where no
face is found). "Real JPEG against real PNG" is the method "real-jpeg": `ProtocolEvaluator.store_lossless` compared
with `store`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bench.core.contract import Domain

from .protocol import ProtocolFile
from .summary import WHOLE_IMAGE, Cell, summarise


def random_halves(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two index arrays that split `count` images at random into halves of count // 2 (an odd one is left out)."""
    order = np.random.default_rng(seed).permutation(count)
    half = count // 2
    return np.sort(order[:half]), np.sort(order[half : 2 * half])


def half_split(
    features: Mapping[str, np.ndarray], protocol: ProtocolFile, *, domain: Domain = "faces", count: int = 0
) -> Mapping[str, Cell]:
    """Set metrics between random halves of the real pictures' features, metric -> float32 (n, D), by column.

    The floor of FID and KID. At half of N a Fréchet distance is larger than at N; the cells say their N.

    Args:
        features: In an order that is always the same, since the protocol's seed draws from it.
        domain: Columns of the other domain have no cell.
        count: Images there are, with those that have no features: the others count as failed.
    """
    first: dict[str, np.ndarray] = {}
    second: dict[str, np.ndarray] = {}
    for metric, array in features.items():
        one, other = random_halves(len(array), protocol.numbers.seed)
        first[metric], second[metric] = array[one], array[other]
    failed = max(0, count - max((len(array) for array in features.values()), default=0))
    cells = summarise([{}] * failed, [{WHOLE_IMAGE: "failed"}] * failed, first, second, protocol, domain=domain)
    return {name: cell for name, cell in cells.items() if cell.reference_n is not None}
