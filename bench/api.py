"""The suite from Python: a method, a direction, a run.

from bench.api import load_direction, load_method, load_run

method = load_method("warpres", weights="synthetic")
inversion = method.invert(images)
edited = method.edit(inversion, 3 * load_direction("pose", method).vector)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.core.strangers import refuse_strangers

refuse_strangers()  # before anything is imported under a name that may be another's

# ruff: noqa: E402
from bench.core.contract import Direction, Method
from bench.edits.cards import find_card, generator_of
from bench.edits.directions import direction_folders
from bench.edits.directions import load_direction as _load
from bench.results.frame import load_run
from bench.weights import registry
from methods import load_method
from methods.checkpoint_files import shipped_folders

__all__ = ["load_direction", "load_method", "load_run"]


def load_direction(
    name: str, method: Method, *, folders: Sequence[str | Path] = (), cards: Sequence[str | Path] = ()
) -> Direction:
    """An edit's direction for a method's generator.

    Args:
        name: An edit (`run_bench.py edits ls`), "pose".
        method: See `load_method`.
        folders: Where direction files lie, besides those that are shipped or were fetched.
        cards: Further edit cards.

    Returns:
        The direction. `vector` is float32 (L, D); `delta(codes, strength)` is the change (N, L, D) of codes, which
        holds for every rule.

    Raises:
        UsageError: No such edit for this generator.
        MissingError: Its file is not here, with the command that gets it.
    """
    rows = method.latent_rows
    generator = generator_of(method.domain, rows)
    nearby = [*map(Path, folders), *shipped_folders()]

    def find(file: str) -> Path:
        known = file in registry.entries() and not any((folder / file).exists() for folder in nearby)
        return registry.locate(file) if known else direction_folders(nearby)(file)

    card = find_card(name, generator, [Path(card) for card in cards])
    return _load(card, find, generator=generator, latent_rows=rows, method=method.name)
