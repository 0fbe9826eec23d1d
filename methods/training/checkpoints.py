"""A training's checkpoints: two files written in turn, each with its digest, so that one is whole whatever happens."""

from __future__ import annotations

import hashlib
import json
import pickle
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from bench.core.files import read_object, replacing, write_atomic

_NAMES = ("checkpoint-0", "checkpoint-1")


class Note(NamedTuple):
    """What stands beside a checkpoint.

    Attributes:
        step: 0 where there is none.
        key: What it is of.
        arithmetic: What it was trained in.
    """

    step: int = 0
    key: str = ""
    arithmetic: str = "bfloat16"  # all recipes for bfloat16 were trained in it before notes said so


def save_checkpoint(folder: Path, state: Mapping[str, Any]) -> Path:
    """Write a state over the older of the two.

    Args:
        state: Tensors, numbers, texts and containers of them, with all that a `Note` says.
    """
    noted = {name: _noted(folder, name) for name in _NAMES}
    name = min(_NAMES, key=lambda each: noted[each].get("step", -1))
    path = folder / f"{name}.pt"
    note = path.with_suffix(".json")
    with replacing(path) as part:
        with part.open("wb") as file:
            torch.save(dict(state), file)
        with part.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        # Without its note a checkpoint counts as damaged: at no moment do both of them.
        note.unlink(missing_ok=True)
    said = {name: state[name] for name in Note._fields if name in state}
    write_atomic(note, json.dumps({**said, "sha256": digest}))
    return path


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """The newest whole checkpoint's state, tensors on the CPU; None where there is none. Damaged ones are told of."""
    noted = sorted(_NAMES, key=lambda name: _noted(folder, name).get("step", -1), reverse=True)
    for name in noted:
        path = folder / f"{name}.pt"
        if path.is_file():
            try:
                return _read(path, _noted(folder, name).get("sha256"))
            except (ValueError, OSError, RuntimeError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
                print(f"note: {path} is damaged and left out ({error})", file=sys.stderr)
    return None


def forget_checkpoints(folder: Path) -> None:
    """Remove the checkpoints of a training that begins anew."""
    for name in _NAMES:
        for ending in (".json", ".pt"):
            (folder / name).with_suffix(ending).unlink(missing_ok=True)


def newest_note(folder: Path) -> Note:
    """The note of the newest checkpoint, without reading that."""
    noted = (_noted(folder, name) for name in _NAMES)
    return max([Note(), *(Note(**{name: note[name] for name in Note._fields if name in note}) for note in noted)])


def _read(path: Path, digest: str | None) -> dict[str, Any]:
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != digest:
            raise ValueError("its digest is not the one noted")
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def _noted(folder: Path, name: str) -> dict[str, Any]:
    try:
        return read_object(folder / f"{name}.json")
    except (OSError, ValueError):
        return {}
