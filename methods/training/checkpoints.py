"""A training's checkpoints: two files written in turn, each with its digest, so that one is whole whatever happens."""

from __future__ import annotations

import hashlib
import json
import pickle
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import torch

from bench.core.checkpoint import load_strict
from bench.core.errors import MissingError, UsageError
from bench.core.files import read_object, replacing, write_atomic
from methods.training.frozen.copies import load_optimiser
from methods.training.task import Task

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
            _write(dict(state), file)
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
    paths = [path for path in (folder / f"{name}.pt" for name in noted) if path.is_file()]
    for path in paths:
        try:
            return _read(path, _noted(folder, path.stem).get("sha256"))
        except (ValueError, OSError, RuntimeError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
            print(f"note: {path} is damaged and left out ({error})", file=sys.stderr)
    if paths:
        print(f"note: no whole checkpoint is left in {folder}: the training begins anew", file=sys.stderr)
    return None


def check_kind(state: Mapping[str, Any], task: Task, folder: Path) -> None:
    """Raise UsageError where a checkpoint's state is not one of such a task, by the names in it."""
    absent = [f"no {name}" for name in ("modules", "optimisers", "step", "bound", "key", "legs") if name not in state]
    for kind, own in (("modules", task.modules), ("optimisers", task.optimisers)):
        there = state.get(kind, own)
        absent += [f"none of the {kind} {name}" for name in own if name not in there]
        absent += [f"the {kind} {name}, which nothing here has" for name in there if name not in own]
    if absent:
        raise _stranger(folder, f"it has {' and '.join(absent)}")


def restore(task: Task, state: Mapping[str, Any], folder: Path) -> None:
    """Load a checkpoint's modules and optimisers. Raises UsageError where they are of other sizes than the task's."""
    try:
        for name, module in task.modules.items():
            load_strict(module, state["modules"][name], name)
        for name, optimiser in task.optimisers.items():
            load_optimiser(optimiser, state["optimisers"][name])
    except (MissingError, ValueError, KeyError) as error:
        raise _stranger(folder, getattr(error, "what", str(error))) from None


def _stranger(folder: Path, why: str) -> UsageError:
    return UsageError(
        f"the checkpoint in {folder} is of another training or of an earlier version: {why}",
        "--fresh begins anew; to keep it, give another --out",
    )


def forget_checkpoints(folder: Path) -> None:
    """Remove the checkpoints of a training that begins anew."""
    for name in _NAMES:
        for ending in (".json", ".pt"):
            (folder / name).with_suffix(ending).unlink(missing_ok=True)


def forget_halves(folder: Path) -> None:
    """Remove what a kill left of checkpoints and results that were being written; the folder must be ours alone."""
    for path in folder.glob(".*.part"):
        path.unlink(missing_ok=True)


def newest_note(folder: Path) -> Note:
    """The note of the newest checkpoint, without reading that."""
    noted = (_noted(folder, name) for name in _NAMES)
    return max([Note(), *(Note(**{name: note[name] for name in Note._fields if name in note}) for note in noted)])


def _write(state: dict[str, Any], file: IO[bytes]) -> None:
    """`torch.save`, which by itself says of a full disk that a position is unexpected. Raises OSError."""
    told: list[OSError] = []

    class Watched:
        def write(self, data: bytes) -> int:
            try:
                return file.write(data)
            except OSError as error:
                told.append(error)
                raise

        def flush(self) -> None:
            file.flush()

    try:
        torch.save(state, Watched())  # type: ignore[arg-type]
    except RuntimeError:
        if told:
            raise told[0] from None
        raise


def _read(path: Path, digest: str | None) -> dict[str, Any]:
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != digest:
            raise ValueError("its digest is not the one noted")
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, dict):
        raise ValueError(f"it holds {type(state).__name__}")
    return state


def _noted(folder: Path, name: str) -> dict[str, Any]:
    try:
        note = read_object(folder / f"{name}.json")
    except (OSError, ValueError):
        return {}
    kinds = {"sha256": str} | {key: type(value) for key, value in Note()._asdict().items()}
    whole = all(type(value) is kinds[key] for key, value in note.items() if key in kinds)
    return note if whole and {"step", "sha256"} <= note.keys() else {}
