"""What a configuration may say: each number, name and folder looked at before anything is opened."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.core.arguments import LARGEST_SEED
from bench.core.errors import MissingError, UsageError, unknown_name
from bench.core.files import check_folder
from bench.core.folder_names import check_name
from bench.core.names import REFERENCES, WORDS

if TYPE_CHECKING:
    from bench.plan.config import Config

MOST_STRENGTHS = 101
_MILLION = 10**6
# Smallest and largest value of each number; far above what a machine can do, and small enough to count with.
_RANGES = {
    "group": (1, _MILLION),
    "batch": (1, _MILLION),
    "loaded_methods": (0, _MILLION),
    "grid_pictures": (0, _MILLION),
    "threads": (0, 1024),
    "workers": (0, 1024),
    "steps": (0, _MILLION),
    "parts": (0, _MILLION),
    "seed": (0, LARGEST_SEED),
}
_OPTIONS = ("batch", "steps", "parts", "seed")


def check(config: Config) -> None:
    """Raise UsageError for a value that no run can have, with the option or key it stands under."""
    run = config.run
    if config.data.limit is not None:
        _in_range("--limit", config.data.limit, 1, 10**9)
    for key, (low, high) in _RANGES.items():
        _in_range(f"--{key}" if key in _OPTIONS else f"run.{key}", getattr(run, key), low, high)
    _in_range("--face", config.data.face, 0, 1000)
    if run.device not in ("auto", "cpu", "cuda", "mps") and not run.device.startswith("cuda:"):
        raise unknown_name("device", run.device, ["auto", "cpu", "cuda", "mps"])
    if run.name:
        _check_run_name(run.name)
    _check_variants(config)
    for what, names in (("method", config.methods), ("edit", config.edits.names), ("protocol", config.protocols)):
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise UsageError(f"{what} named twice: {', '.join(twice)}")
    for name, strengths in config.edits.strengths.items():
        _check_strengths(name, strengths, sweep=config.edits.mode == "sweep")
    for which, known in (("paper_table", (1, 2, 3)), ("paper_figure", (1, 3, 4, 5, 6, 7))):
        value = getattr(config, which)
        if value and value not in known:
            raise unknown_name(which, str(value), list(map(str, known)))


def _in_range(what: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        bound = f"at least {low}" if value < low else f"at most {high}"
        raise UsageError(f"{what} must be {bound}, not {value}")


def _check_run_name(name: str) -> None:
    try:
        check_name(name, "--name")
    except UsageError as error:
        raise UsageError(
            f"{error.what}: not a plain folder name", f"{error.next_step}; use --output for the folder it lies in"
        ) from None


def check_folders(config: Config) -> None:
    """Raise UsageError where a folder that is named cannot be what it is named for."""
    files = config.edits.files
    if files and not Path(files).is_dir():
        why = "is a file" if Path(files).exists() else "does not exist"
        raise UsageError(f"the folder of direction files, --directions {files}, {why}", "name the folder they lie in")
    check_folder(config.run_folder(), "--output")


def check_space(folder: Path, needed: int, results: int) -> None:
    """Raise MissingError for what would fill the disk; `needed` bytes are those of the results that are missing."""
    free = shutil.disk_usage(next(place for place in (folder, *folder.absolute().parents) if place.exists())).free
    if needed > free:
        raise MissingError(
            f"{folder} needs about {needed / 1e6:.0f} MB for {results} results, {free / 1e6:.0f} MB are free",
            "free some space, or choose another folder with --output",
        )


def _check_variants(config: Config) -> None:
    for name in config.variants:
        check_name(name, "variant", (*REFERENCES, *WORDS))


def _check_strengths(edit: str, strengths: Sequence[float], *, sweep: bool) -> None:
    from bench.edits.cards import check_strength

    if not strengths:
        raise UsageError(f"the edit {edit!r} is given no strength", f"--strength {edit}=3")
    if len(strengths) > MOST_STRENGTHS:
        raise UsageError(f"the edit {edit!r} is given {len(strengths)} strengths", f"at most {MOST_STRENGTHS}")
    for strength in strengths:
        check_strength(strength, f"the strength of {edit}", zero=sweep)
    shown = [f"{strength:+g}" for strength in strengths]
    if twice := sorted({text for text in shown if shown.count(text) > 1}):
        raise UsageError(f"the edit {edit!r} is given the strength {twice[0]} twice")
