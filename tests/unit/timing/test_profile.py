"""Where a run's time went."""

from __future__ import annotations

import time

import pytest

from bench.timing.profile import NETWORKS, OTHER, Phases, lines, outside, together


def test_phases_add_up_to_the_whole() -> None:
    phases = Phases(whole=1.0)
    for _ in range(2):
        with phases.time("loading"):
            time.sleep(0.01)
    record = phases.record(networks=0.6)
    assert record[NETWORKS] == 0.6
    assert record["loading"] >= 0.02
    assert sum(record.values()) == pytest.approx(1.0)
    assert record[OTHER] == pytest.approx(0.4 - record["loading"])


def test_processes_are_summed_and_the_share_outside_networks_is_said() -> None:
    total = together([{NETWORKS: 3.0, "loading": 1.0}, {NETWORKS: 3.0, OTHER: 1.0}])
    assert list(total) == [NETWORKS, *sorted(("loading", OTHER), key=list(total).index)]
    assert total[NETWORKS] == 6.0
    assert outside(total).startswith("25% of the run's 8 s")
    assert [line.split()[0] for line in lines(total)] == list(total)
    assert outside({}).startswith("0%")
