"""From the rows of one (method, pass, protocol) to the cells of a table: value, interval, N, failures.

A pure function: rows in, cells out, the same whatever their order, batch size or rank.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.core.contract import Domain

from .columns import Undefined
from .intervals import estimate_interval, mean_interval
from .protocol import Column, ProtocolFile, load_protocol

# Key of a failure that concerns the whole image, in place of a metric.
WHOLE_IMAGE = "*"


@dataclass(frozen=True)
class Cell:
    """One number of a table, with what it needs to be believed.

    Attributes:
        value: None when there is nothing to measure (no image left, or too few for a set metric).
        low, high: Ends of the 95 % interval (confidence of the protocol); None where there is none.
        n: Images in the value (generated ones, for a set metric).
        failed: Images without a value; under "zero" they are part of n, under "skip" they are not.
        rule: What was done with those: "skip" or "zero".
        reference_n: Real images compared with, for a set metric.
        planned, reference_planned: Images (and real ones) that the run's plan has, where results of some are not
            there; None for a whole cell.
        needs_n: Images on either side from which the protocol gives this cell a number, where there are fewer; else
            None.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    failed: int = 0
    rule: str = "skip"
    reference_n: int | None = None
    planned: int | None = None
    reference_planned: int | None = None
    needs_n: int | None = None


def summarise(
    values: Sequence[Mapping[str, float]],
    failures: Sequence[Mapping[str, str]],
    features: Mapping[str, np.ndarray],
    reference_features: Mapping[str, np.ndarray],
    protocol: ProtocolFile | str,
    *,
    domain: Domain = "faces",
    paired: bool = False,
    measured: Collection[str] | None = None,
) -> Mapping[str, Cell]:
    """The cells of one method and pass, by `<metric>@<protocol>`.

    Args:
        values: One mapping an image, metric -> value; empty for an image that failed.
        failures: As long as `values`, metric -> reason; {"*": reason} for an image that failed as a whole.
        features: Metric -> float32 (n, D) of the images that did not fail, in the order of `values`.
        reference_features: Metric -> float32 (m, D) of the real images the pass is compared with.
        protocol: The protocol file, or its name.
        domain: Columns of the other domain have no cell.
        paired: Row i of `features` and of `reference_features` is one image; narrows the interval where that is so.
        measured: Metrics that could be measured (the networks of the others are missing); None for all of the protocol.

    A column with neither values nor failures nor features has no cell. Where every image failed as a whole, each
    column that could be measured has a cell that says so.
    """
    rules = protocol if isinstance(protocol, ProtocolFile) else load_protocol(protocol)
    cells: dict[str, Cell] = {}
    for column in rules.of(domain):
        if measured is not None and column.metric not in measured:
            continue
        if column.is_set:
            cell = _set_cell(column, rules, features, reference_features, failures, paired)
        else:
            cell = _pair_cell(column, rules, values, failures)
        if cell is not None:
            cells[f"{column.metric}@{rules.name}"] = cell
    return cells


def effective_rule(column: Column, rules: ProtocolFile) -> str:
    """The rule of a column: "zero" only where the protocol says so and more is better; sets and distances "skip"."""
    return "zero" if rules.failures.rule == "zero" and column.better == "higher" and not column.is_set else "skip"


def _pair_cell(
    column: Column,
    rules: ProtocolFile,
    values: Sequence[Mapping[str, float]],
    failures: Sequence[Mapping[str, str]],
) -> Cell | None:
    known = [row[column.metric] for row in values if column.metric in row]
    sound = [value for value in known if math.isfinite(value)]
    reasons = sum(
        column.metric in failure or (WHOLE_IMAGE in failure and column.metric not in row)
        for row, failure in zip(values, failures, strict=True)
    )
    failed = reasons + len(known) - len(sound)
    rule = effective_rule(column, rules)
    if not known and not any(column.metric in failure for failure in failures):
        # No image came out at all, under whatever rule there is nothing to measure. A single such image says
        # nothing of a column that the others do not have: its network is missing.
        return Cell(None, None, None, 0, failed, rule) if failed and failed == len(failures) else None
    counted = sound + [0.0] * failed if rule == "zero" else sound
    if not counted:
        return Cell(None, None, None, 0, failed, rule)
    low, high = mean_interval(counted, rules.numbers)
    return Cell(math.fsum(counted) / len(counted), low, high, len(counted), failed, rule)


def _set_cell(
    column: Column,
    rules: ProtocolFile,
    features: Mapping[str, np.ndarray],
    reference: Mapping[str, np.ndarray],
    failures: Sequence[Mapping[str, str]],
    paired: bool,
) -> Cell | None:
    metric = column.options.shares() or column.metric
    failed = sum(WHOLE_IMAGE in failure or metric in failure for failure in failures)
    if metric not in features and failed and failed == len(failures):
        return Cell(None, None, None, 0, failed, "skip", len(reference.get(metric, ())))
    if metric not in features or metric not in reference:
        return None
    made, real = features[metric], reference[metric]
    empty = Cell(None, None, None, len(made), failed, "skip", len(real))
    fewest = rules.numbers.smallest_set if paired else rules.numbers.smallest_unpaired_set
    if min(len(made), len(real)) < fewest:
        return replace(empty, needs_n=fewest)
    try:
        estimate = column.options.measure(made, real)
    except Undefined:
        return empty
    low, high = estimate_interval(estimate, rules.numbers, paired=paired and len(made) == len(real))
    return Cell(estimate.value, low, high, len(made), failed, "skip", len(real))
