"""JSON records that know whether they are whole: a checksum of the rest stands in each, and readers check it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.core.errors import MissingError
from bench.core.files import read_object, write_atomic

SEAL = "checksum"


class DamagedError(MissingError):
    """A record whose content is not what was written."""


def write_sealed(path: Path, record: Mapping[str, Any]) -> Path:
    """Write a record with its checksum, whole or not at all.

    Raises:
        MissingError: The folder cannot be written, or the disk is full.
    """
    plain = {key: value for key, value in record.items() if key != SEAL}
    text = json.dumps(plain | {SEAL: _checksum(plain)}, ensure_ascii=False, indent=1, allow_nan=False)
    return write_atomic(path, text + "\n")


def read_sealed(path: Path) -> dict[str, Any]:
    """A record without its checksum.

    Raises:
        FileNotFoundError: There is none.
        DamagedError: It is no JSON object, has no checksum, or another one.
    """
    try:
        record = read_object(path)
        seal = record.pop(SEAL, None)
        found = _checksum(record)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DamagedError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"{path} is damaged: {str(error).splitlines()[0]}") from None
    if seal is None:
        raise DamagedError(f"{path} is damaged, or of an older version: it has no checksum")
    if seal != found:
        raise DamagedError(f"{path} is damaged: its content does not have the checksum it was written with")
    return record


def _checksum(record: Mapping[str, Any]) -> str:
    # Sorted: the order of the keys carries no meaning, and other tools may change it.
    text = json.dumps(record, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
