"""What a run's rows say beyond their means: the paper's claims, and whether its proxies rank as the truth does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bench.results.features import load_features
from bench.results.paired import as_counted
from bench.results.recorded import recorded_protocol
from bench.results.row import ORIGINAL, REAL
from bench.results.wholeness import Results, chosen
from reports.claims import Finding, claims_csv, findings
from reports.inputs import Facts, Pass
from reports.proxies import Agreement, agreements, agreements_csv


@dataclass(frozen=True)
class Checked:
    """The findings of one protocol."""

    protocol: str
    claims: Sequence[Finding]
    agreements: Sequence[Agreement]

    def files(self) -> Iterator[tuple[str, bytes]]:
        """The same for machines."""
        if self.claims:
            yield f"tables/claims@{self.protocol}.csv", claims_csv(self.claims).encode()
        if self.agreements:
            yield f"tables/proxies@{self.protocol}.csv", agreements_csv(self.agreements).encode()


def check_rows(
    results: Results, passes: Sequence[Pass], facts: Facts, seconds: Mapping[str, float] | None
) -> list[Checked]:
    """Everything the rows of a run can test, one entry a protocol; nothing where the weights mean nothing."""
    if facts.filled:
        return []
    found = []
    for protocol in results.manifest.get("protocols") or {}:
        own = results.frame[results.frame.protocol == protocol]
        if (own.status == "ok").any():
            rules = recorded_protocol(results.manifest, protocol)
            claims = findings(as_counted(own, {protocol: rules}), facts, protocol, rules.numbers, seconds)
            made = own[own.status == "ok"]
            ranked = agreements(made, passes, facts, protocol, rules.numbers, _Features(results, made))
            found.append(Checked(protocol, claims, ranked))
    return [item for item in found if item.claims or item.agreements]


@dataclass(frozen=True)
class _Features:
    """Features of lines of the frame, and of the real images that a pass is compared with. Raises LookupError where
    there are none."""

    results: Results
    frame: pd.DataFrame

    def of(self, frame: pd.DataFrame, metric: str) -> np.ndarray:
        rows = [self.results.rows[at] for at in frame.index]
        if not rows or any(metric not in row.features for row in rows):
            raise LookupError(metric)
        return load_features(self.results.run, rows, metric)

    def references(self, edit: Pass, metric: str) -> np.ndarray:
        names = chosen(self.results.manifest["pictures"], edit.reals)
        real = (self.frame.method == REAL) & (self.frame["pass"] == ORIGINAL) & self.frame.image.isin(names)
        return self.of(self.frame[real].sort_values("image"), metric)
