"""Strengths of equal achieved change: every method moves the attribute as far as the first does at its card's strength.

Measured on validation images, never on those of the run, and remembered beside the run's results.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bench.core.contract import Dataset, EditPass, Inversion, Method
from bench.core.digest import code_of
from bench.core.errors import UsageError
from bench.core.sealed import DamagedError, read_sealed, write_sealed
from bench.edits.cards import all_cards
from bench.edits.matched import ChangeMeter, match_strength
from bench.plan.work import MethodSpec, edit_digest
from bench.run.input import to_input

IMAGES = 96
FARTHEST = 4.0
RECORD = "matched.json"


@dataclass(frozen=True)
class Matched:
    """A strength found for a method and a column.

    Attributes:
        change: Mean change there, in the attribute's unit.
        range_share: This change as a share of the largest that the method reaches up to `FARTHEST` times its card's
            strength: 1 compares all that a method can do, 0.2 the first fifth of it.
    """

    strength: float
    change: float
    range_share: float


def matched_strengths(
    specs: Sequence[MethodSpec],
    images: Dataset,
    regressor: Callable[[Any], Mapping[str, Any]],
    folder: Path,
    *,
    group: int,
    say: Callable[[str], None],
    search: bool = True,
    measured_by: str = "",
) -> dict[str, dict[str, Matched]]:
    """Column -> matched strength, for each method by name.

    Args:
        specs: With their cards' own strengths; the first one sets how far is far enough.
        images: The first of these are measured on.
        regressor: Images (N, 3, H, W) -> attribute -> (N,).
        folder: The run's; keeps what was found.
        measured_by: Digest of the regressor.
        search: Without it no method is loaded and nothing written: only what an earlier run found is given back.

    Raises:
        UsageError: An edit that nothing measures.
    """
    attributes = {card.name: card.measures for card in all_cards() if card.measures}
    known = _read(folder)
    by = [measured_by, code_of(matched_strengths), group]
    found: dict[str, dict[str, Matched]] = {}
    targets: dict[str, float] = {}
    for spec in specs:
        edits = [edit for edit in spec.passes if edit.direction is not None]
        key = _key(specs[0], spec, images, by)
        if key not in known and not search:
            say(f"the matched strengths of {spec.name} are not known yet; the run finds them")
            continue
        if key not in known:
            say(f"matching strengths of {spec.name}")
            inputs = [images.read(image) for image in images.images[:IMAGES]]
            known[key] = _search(spec, edits, attributes, targets, inputs, regressor, group)
            write_sealed(folder / RECORD, known)
        if spec is specs[0]:
            targets = {column: entry["change"] for column, entry in known[key].items()}
        for column, entry in known[key].items():
            if not entry["reached"] and column in targets:
                say(f"{spec.name}, {column}: changes by {entry['change']:.3g} at most, not {targets[column]:.3g}")
        found[spec.name] = {
            column: Matched(entry["strength"], entry["change"], entry["range_share"])
            for column, entry in known[key].items()
        }
    return found


def _search(
    spec: MethodSpec,
    edits: Sequence[EditPass],
    attributes: Mapping[str, str],
    targets: Mapping[str, float],
    images: Sequence[Any],
    regressor: Callable[[Any], Mapping[str, Any]],
    group: int,
) -> dict[str, dict[str, Any]]:
    method = spec.load()
    found: dict[str, dict[str, Any]] = {}
    with torch.inference_mode():
        inversions = _inversions(method, images, group)
        meters: dict[str, ChangeMeter] = {}
        for edit in edits:
            assert edit.direction is not None
            attribute = attributes.get(edit.direction.name)
            if attribute is None:
                raise UsageError(f"nothing measures the edit {edit.direction.name!r}", "use --mode fixed for it")
            if attribute not in meters:
                meters[attribute] = ChangeMeter(method, inversions, regressor, attribute)
            found[edit.pass_name] = _match(meters[attribute], edit, targets.get(edit.pass_name))
    return found


def _match(meter: ChangeMeter, edit: EditPass, target: float | None) -> dict[str, Any]:
    direction = edit.direction
    assert direction is not None
    changes = {strength: meter(direction, strength) for strength in _range(edit.strength)}
    if target is None:
        strength, change, reached = edit.strength, changes[edit.strength], True
    else:
        match = match_strength(
            lambda strength: changes[strength] if strength in changes else meter(direction, strength),
            target,
            start=edit.strength,
            limit=FARTHEST * abs(edit.strength),
        )
        strength, change, reached = match.strength, match.change, match.reached
    largest = max(abs(value) for value in (*changes.values(), change))
    return {
        "strength": strength,
        "change": change,
        "reached": reached,
        "range_share": abs(change) / largest if largest else 1.0,
    }


def _range(strength: float) -> tuple[float, ...]:
    """Where a method's range is looked for: images fall apart far out, so its end need not be the largest change."""
    return tuple(factor * strength for factor in (1.0, 2.0, FARTHEST))


def _inversions(method: Method, images: Sequence[Any], group: int) -> list[Inversion]:
    inputs = torch.stack([to_input(image, method) for image in images])
    return [method.invert(inputs[start : start + group]) for start in range(0, len(inputs), group)]


def _key(first: MethodSpec, spec: MethodSpec, images: Dataset, by: Sequence[Any]) -> str:
    edits = [(edit.pass_name, edit_digest(edit), edit.strength) for edit in spec.passes]
    about = [*by, first.digest, spec.digest, edits, _range(1.0), [image.digest for image in images.images[:IMAGES]]]
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()


def _read(folder: Path) -> dict[str, Any]:
    try:
        return read_sealed(folder / RECORD)
    except (FileNotFoundError, DamagedError):
        return {}
