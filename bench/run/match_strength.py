"""Strengths of equal achieved change: every method moves the attribute as far as the first does at its card's strength.

Measured on validation images, never on those of the run, and remembered beside the run's results.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from bench.core.contract import Dataset, EditPass, Inversion, Method
from bench.core.errors import UsageError
from bench.core.files import write_atomic
from bench.edits.cards import all_cards
from bench.edits.matched import ChangeMeter, match_strength
from bench.plan.work import MethodSpec, edit_digest
from bench.run.input import to_input

IMAGES = 96
FARTHEST = 4.0
RECORD = "matched.json"


def matched_strengths(
    specs: Sequence[MethodSpec],
    images: Dataset,
    regressor: Callable[[Any], Mapping[str, Any]],
    folder: Path,
    *,
    group: int,
    say: Callable[[str], None],
    search: bool = True,
) -> dict[str, dict[str, float]]:
    """Column -> strength, for each method by name.

    Args:
        contestants: With their cards' own strengths; the first one sets how far is far enough.
        images: The first of these are measured on.
        regressor: Images (N, 3, H, W) -> attribute -> (N,).
        folder: The run's; keeps what was found.
        search: Without it no method is loaded and nothing written: only what an earlier run found is given back.

    Raises:
        UsageError: An edit that nothing measures.
    """
    attributes = {card.name: card.measures for card in all_cards() if card.measures}
    known = _read(folder)
    found: dict[str, dict[str, float]] = {}
    targets: dict[str, float] = {}
    for spec in specs:
        edits = [edit for edit in spec.passes if edit.direction is not None]
        key = _key(specs[0], spec, images)
        if key not in known and not search:
            say(f"the matched strengths of {spec.name} are not known yet; the run finds them")
            continue
        if key not in known:
            say(f"matching strengths of {spec.name}")
            known[key] = _search(spec, edits, attributes, targets, _inputs(images), regressor, group)
            write_atomic(folder / RECORD, json.dumps(known, indent=1) + "\n")
        if spec is specs[0]:
            targets = {column: entry["change"] for column, entry in known[key].items()}
        for column, entry in known[key].items():
            if not entry["reached"] and column in targets:
                say(f"{spec.name}, {column}: changes by {entry['change']:.3g} at most, not {targets[column]:.3g}")
        found[spec.name] = {column: entry["strength"] for column, entry in known[key].items()}
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
    if target is None:
        return {"strength": edit.strength, "change": meter(direction, edit.strength), "reached": True}
    match = match_strength(
        lambda strength: meter(direction, strength),
        target,
        start=edit.strength,
        limit=FARTHEST * abs(edit.strength),
    )
    return {"strength": match.strength, "change": match.change, "reached": match.reached}


def _inputs(images: Dataset) -> list[Any]:
    return [images.read(image) for image in images.images[:IMAGES]]


def _inversions(method: Method, images: Sequence[Any], group: int) -> list[Inversion]:
    inputs = torch.stack([to_input(image, method) for image in images])
    return [method.invert(inputs[start : start + group]) for start in range(0, len(inputs), group)]


def _key(first: MethodSpec, spec: MethodSpec, images: Dataset) -> str:
    edits = [(edit.pass_name, edit_digest(edit), edit.strength) for edit in spec.passes]
    about = [first.digest, spec.digest, edits, [image.digest for image in images.images[:IMAGES]]]
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()


def _read(folder: Path) -> dict[str, Any]:
    try:
        known: dict[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        return known
    except (OSError, ValueError):
        return {}
