"""What a safetensors file says of itself, from its head alone; no tensor is read and torch is not needed."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from bench.core.errors import MissingError
from bench.core.files import regular_size

# Ten thousand tensors take one megabyte; the library itself would parse a hundred.
_MOST_HEAD = 4 << 20


def read_metadata(path: Path) -> dict[str, Any]:
    """A file's metadata by key, values parsed from JSON where they are JSON.

    Raises MissingError: No such file, or no whole safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    check_head(path)
    try:
        with safe_open(path, framework="np") as file:
            return {key: parsed(value) for key, value in (file.metadata() or {}).items()}
    except (SafetensorError, OSError, ValueError) as error:
        raise MissingError(f"{path} is a truncated or damaged safetensors file ({error})") from None


def check_head(path: Path) -> None:
    """Raise MissingError where a file is none, or its first bytes promise a description that no file of ours has."""
    try:
        size = regular_size(path)
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise MissingError(f"{path} cannot be read: {error.strerror}") from None
    length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
    if length > min(size, _MOST_HEAD):
        what = f"its description would have {length:,} bytes" if length <= size else "it ends early"
        raise MissingError(f"{path} is a truncated or damaged safetensors file ({what})", "download it again")


def parsed(value: str) -> Any:
    """A metadata value: from JSON, or the text itself."""
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value
