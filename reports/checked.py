"""What a run's rows say beyond their means: the paper's claims, and whether its proxies rank as the truth does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.results.store import ORIGINAL, REAL, Row, load_features
from bench.results.wholeness import chosen
from metrics.protocol import load_protocol
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
    run: Path,
    rows: Sequence[Row],
    passes: Sequence[Pass],
    facts: Facts,
    manifest: Mapping[str, Any],
    seconds: Mapping[str, float] | None,
) -> list[Checked]:
    """Everything the rows of a run can test, one entry a protocol; nothing where the weights mean nothing."""
    if facts.filled:
        return []
    found = []
    for protocol, about in (manifest.get("protocols") or {}).items():
        own = [row for row in rows if row.protocol == protocol and row.status == "ok"]
        if own:
            numbers = load_protocol(about.get("file") or protocol).numbers
            real = {row.image: row for row in own if (row.method, row.pass_name) == (REAL, ORIGINAL)}
            lookup = _Features(run, manifest, real)
            claims = findings(own, facts, protocol, numbers, seconds)
            ranked = agreements(own, passes, facts, protocol, numbers, lookup.of, lookup.references)
            found.append(Checked(protocol, claims, ranked))
    return [item for item in found if item.claims or item.agreements]


@dataclass(frozen=True)
class _Features:
    """Features of rows, and of the real images that a pass is compared with. Raises LookupError where there are
    none."""

    run: Path
    manifest: Mapping[str, Any]
    real: Mapping[str, Row]

    def of(self, rows: Sequence[Row], metric: str) -> np.ndarray:
        if not rows or any(metric not in row.features for row in rows):
            raise LookupError(metric)
        return load_features(self.run, rows, metric)

    def references(self, edit: Pass, metric: str) -> np.ndarray:
        names = sorted(chosen(self.manifest["pictures"], edit.reals))
        return self.of([self.real[name] for name in names if name in self.real], metric)
