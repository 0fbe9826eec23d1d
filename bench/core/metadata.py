"""What a safetensors file says of itself, from its head alone; no tensor is read and torch is not needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.core.errors import MissingError


def read_metadata(path: Path) -> dict[str, Any]:
    """A file's metadata by key, values parsed from JSON where they are JSON.

    Raises MissingError: No such file, or no whole safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            return {key: parsed(value) for key, value in (file.metadata() or {}).items()}
    except (SafetensorError, OSError, ValueError) as error:
        raise MissingError(f"{path} is a truncated or damaged safetensors file ({error})") from None


def parsed(value: str) -> Any:
    """A metadata value: from JSON, or the text itself."""
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value
