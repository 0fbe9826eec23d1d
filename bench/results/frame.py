"""A run as a pandas data frame: one row a result, one column a metric."""

from __future__ import annotations

import warnings
from pathlib import Path

import pandas as pd

from bench.results.wholeness import Results, load_results

# What every row says beside its metrics.
ABOUT = ("method", "pass", "image", "protocol", "strength", "status", "reason")


def load_run(run: str | Path) -> pd.DataFrame:
    """A run's results, sorted by method, pass, image and protocol.

    Columns: `method` ("real" for the real images' own rows), `pass` ("smile+"), `image`, `protocol`, `strength`
    (signed), `status` ("ok" or "failed"), `reason` (of a failed one, else None); then one column a metric, by the name
    before its "@" ("lpips"), NaN where this result has no value (why: the frame's `attrs["failures"]`, a frame of
    method, pass, image, protocol, metric and reason). Metrics of sets (FID) have no value an image and are not here.

    `attrs` also has "run" (the folder), and how the rows stand to the plan in the run's manifest: "whole" (whether
    every planned result is there), "banner" (else how many are, in a sentence) and "lacking" (a frame of method, pass,
    protocol, there and planned: a line where results lack). A run that lacks results warns.

    Raises:
        MissingError: There is no run, or its manifest is damaged.
    """
    results = load_results(Path(run))
    frame = results_frame(results)
    if not results.whole:
        warnings.warn(f"{run}: {results.banner}", stacklevel=2)
    return frame


def results_frame(results: Results) -> pd.DataFrame:
    """The frame of checked results, see `load_run`."""
    records = [
        (row.method, row.pass_name, row.image, row.protocol, row.strength, row.status, row.reason)
        for row in results.rows
    ]
    about = pd.DataFrame(records, columns=list(ABOUT))
    metrics = list(dict.fromkeys(name for row in results.rows for name in row.values))
    values = {name: [row.values.get(name) for row in results.rows] for name in metrics}
    frame = pd.concat([about, pd.DataFrame(values, dtype="float64")], axis=1)
    failures = [
        (row.method, row.pass_name, row.image, row.protocol, metric, reason)
        for row in results.rows
        for metric, reason in row.failures.items()
    ]
    frame.attrs |= {"run": str(results.run), "whole": results.whole, "banner": results.banner}
    lacking = [(*block, there, planned) for block, (there, planned) in results.lacking.items()]
    frame.attrs["lacking"] = pd.DataFrame(lacking, columns=["method", "pass", "protocol", "there", "planned"])
    frame.attrs["failures"] = pd.DataFrame(failures, columns=[*ABOUT[:4], "metric", "reason"])
    return frame
