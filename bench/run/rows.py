"""What becomes of an image: its features, a scored row, or a failed row with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import torch

from bench.core.device import out_of_memory
from bench.core.errors import BenchError, DeviceError, MissingError
from bench.core.evaluator import Evaluator, Features, Scored
from bench.core.observer import Observation
from bench.results.row import Row


class Entry(NamedTuple):
    """A row and the features that are stored beside it: metric -> float32 (size,)."""

    row: Row
    features: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Seen:
    """What an evaluator saw in stored images, by index, and why it saw nothing in others."""

    features: Mapping[int, Features] = field(default_factory=dict)
    problems: Mapping[int, str] = field(default_factory=dict)


def extract(evaluator: Evaluator, stored: Mapping[int, np.ndarray], group: int) -> Seen:
    """Features of a group's stored images, uint8 (h, w, 3) by index, each at its place; those that fail apart."""
    if not stored:
        return Seen()
    blank = np.zeros_like(next(iter(stored.values())))
    places = {index % group: index for index in stored}
    batch = [stored[places[p]] if p in places else blank for p in range(group)]
    try:
        seen = evaluator.extract(batch)
        return Seen({index: seen[place] for place, index in places.items()})
    except Exception as error:
        stop_if_hopeless(error)
        if len(stored) == 1:
            return Seen(problems={next(iter(stored)): reason(error)})
    parts = [extract(evaluator, {index: image}, group) for index, image in stored.items()]
    return Seen(
        {index: found for part in parts for index, found in part.features.items()},
        {index: why for part in parts for index, why in part.problems.items()},
    )


def failed(row: Row, why: str) -> Entry:
    """The row as one that failed as a whole."""
    return Entry(replace(row, status="failed", reason=why), {})


def scored_row(row: Row, scored: Scored, observed: Observation | None = None) -> Entry:
    """The row with its values; one that is no finite number becomes a failure of its column."""
    observed = observed or Observation()
    values = {**scored.values, **observed.values}
    features = {metric: vector for metric, vector in scored.features.items() if np.isfinite(vector).all()}
    failures = {**scored.failures, **observed.failures}
    failures |= {metric: "the features have NaN" for metric in scored.features if metric not in features}
    failures |= {metric: f"the value is {value}" for metric, value in values.items() if not np.isfinite(value)}
    good = {metric: float(value) for metric, value in values.items() if np.isfinite(value)}
    return Entry(replace(row, values=good, failures=failures), features)


def reason(error: Exception) -> str:
    """One line for a row: what a user error says, or kind and message of any other."""
    text = error.what if isinstance(error, BenchError) else f"{type(error).__name__}: {error}".rstrip(": ")
    return text.splitlines()[0][:300]


def stop_if_hopeless(error: Exception) -> None:
    """Errors that the next image would meet too end the run; everything done so far is kept."""
    if isinstance(error, MissingError | DeviceError):
        raise error
    if out_of_memory(error):
        raise MissingError(
            "out of memory", "free some, use --device cpu, or set run.group = 1 in a --config file; the run carries on"
        ) from error
    if _lost_its_device(error):
        raise DeviceError(
            f"the device gave up: {reason(error)}",
            "results so far are kept and nothing is marked as failed: run the same command again, it carries on; "
            "where the error comes back, restart the device or use --device cpu",
        ) from error


def _lost_its_device(error: Exception) -> bool:
    """Whether the device itself failed: after such an error every call in this process fails, whatever the image."""
    if isinstance(error, torch.AcceleratorError) or any(mark in str(error) for mark in _DEVICE_ERRORS):
        return True
    if not torch.cuda.is_initialized():
        return False
    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return True
    return False


_DEVICE_ERRORS = ("CUDA error", "CUDA driver error", "HIP error", "device-side assert")
