"""Results as one pandas data frame: differences, claims and ranks of a report select, join and pivot it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bench.core.evaluator import ABOUT
from bench.results.row import Row


def frame_of(rows: Sequence[Row]) -> pd.DataFrame:
    """A line a row, in their order: the label `i` stands for `rows[i]`, which also knows where its features lie.

    Columns: `method` ("real" for the real images' own rows), `pass` ("smile+"), `image`, `protocol`, `strength`
    (signed), `status` ("ok" or "failed"), `reason` (of a failed one, else missing), `failures` (metric -> why this
    result has no value of it); then one column a metric, by the name before its "@" ("lpips"), float64, NaN where this
    result has no value. Metrics of sets (FID) have no value an image and are not here.
    """
    about = pd.DataFrame(
        [
            (row.method, row.pass_name, row.image, row.protocol, row.strength, row.status, row.reason, row.failures)
            for row in rows
        ],
        columns=list(ABOUT),
    )
    metrics = dict.fromkeys(name for row in rows for name in row.values)
    values = {name: [row.values.get(name) for row in rows] for name in metrics}
    return pd.concat([about, pd.DataFrame(values, dtype="float64", index=about.index)], axis=1)


def metrics_of(frame: pd.DataFrame) -> list[str]:
    """Names of the frame's columns of values."""
    return [name for name in frame.columns if name not in ABOUT]
