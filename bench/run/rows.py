"""What becomes of an image: a description, a scored row, or a failed row with its reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.core.contract import Evaluator, Scored
from bench.core.errors import BenchError, MissingError
from bench.results.store import Row


def describe(evaluator: Evaluator, stored: dict[int, np.ndarray], group: int) -> tuple[dict[int, Any], dict[int, str]]:
    """Descriptions of a group's stored images by index, each at its place; those that fail are told apart."""
    if not stored:
        return {}, {}
    blank = np.zeros_like(next(iter(stored.values())))
    places = {index % group: index for index in stored}
    batch = [stored[places[p]] if p in places else blank for p in range(group)]
    try:
        seen = evaluator.describe(batch)
        return {index: seen[place] for place, index in places.items()}, {}
    except Exception as error:
        stop_if_hopeless(error)
        if len(stored) == 1:
            return {}, {next(iter(stored)): reason(error)}
    parts = [describe(evaluator, {index: image}, group) for index, image in stored.items()]
    return {k: v for seen, _ in parts for k, v in seen.items()}, {k: v for _, bad in parts for k, v in bad.items()}


def finite(images: Tensor, place: int) -> bool:
    return bool(torch.isfinite(images[place]).all())


def failed(row: Row, why: str) -> Row:
    return replace(row, status="failed", reason=why)


def filled(row: Row, values: dict[str, float], failures: dict[str, str]) -> Row:
    """The row with its values; one that is no finite number becomes a failure of that column."""
    bad = {stem: f"the value is {value}" for stem, value in values.items() if not np.isfinite(value)}
    good = {stem: float(value) for stem, value in values.items() if stem not in bad}
    return replace(row, values=good, failures={**failures, **bad})


def scored_row(
    row: Row, scored: Scored, observed: tuple[dict[str, float], dict[str, str], Any]
) -> tuple[Row, dict[str, np.ndarray]]:
    values, failures = {**scored.values, **observed[0]}, {**scored.failures, **observed[1]}
    features = {stem: vector for stem, vector in scored.features.items() if np.isfinite(vector).all()}
    failures.update({stem: "the features have NaN" for stem in scored.features if stem not in features})
    return filled(row, values, failures), features


def reason(error: Exception) -> str:
    """One line for a row: what a user error says, or kind and message of any other."""
    text = error.what if isinstance(error, BenchError) else f"{type(error).__name__}: {error}".rstrip(": ")
    return text.splitlines()[0][:300]


def stop_if_hopeless(error: Exception) -> None:
    """Errors that the next image would meet too end the run; everything done so far is kept."""
    if isinstance(error, MissingError):
        raise error
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "not enough memory" in str(error):
        raise MissingError(
            "out of memory", "free some, use --device cpu, or set run.group = 1 in a --config file; the run carries on"
        ) from error
