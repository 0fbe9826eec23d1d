"""Reading the golden numbers: outputs of the authors' networks on filled checkpoints and reproducible inputs.

A file is a JSON header (names, shapes, dtypes, "meta"), a newline and the arrays, bytes of equal significance
together, xz.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

DATA = Path(__file__).parent / "data"
EXPECTED = DATA / "expected"


def pack(arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any], path: Path) -> None:
    """Write arrays and their description."""
    names = [[name, list(array.shape), array.dtype.str] for name, array in arrays.items()]
    header = json.dumps({"arrays": names, "meta": meta}).encode() + b"\n"
    body = b"".join(_shuffled(np.ascontiguousarray(array)) for array in arrays.values())
    path.write_bytes(lzma.compress(header + body, preset=9))


def _shuffled(array: np.ndarray) -> bytes:
    return array.reshape(-1).view(np.uint8).reshape(-1, array.dtype.itemsize).T.tobytes()


@lru_cache(maxsize=4)
def golden(name: str, folder: str = "expected") -> tuple[Mapping[str, np.ndarray], Mapping[str, Any]]:
    """(arrays, meta) of a golden; meta says what was run, in which form each array is stored, and the tolerance.

    `folder`: "expected" for networks, "training" for steps of a training.
    """
    content = lzma.decompress((DATA / folder / f"{name}.xz").read_bytes())
    line = content.index(b"\n")
    header = json.loads(content[:line])
    arrays, offset = {}, line + 1
    for key, shape, dtype in header["arrays"]:
        kind = np.dtype(dtype)
        count = int(np.prod(shape, dtype=np.int64))
        size = count * kind.itemsize
        raw = np.frombuffer(content, np.uint8, size, offset).reshape(kind.itemsize, count)
        arrays[key] = np.ascontiguousarray(raw.T).view(kind).reshape(shape)
        offset += size
    return arrays, header["meta"]
