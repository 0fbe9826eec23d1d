"""Clocks and the harness."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from bench.core.contract import Inversion, listen, stage
from bench.timing.clock import StageClock
from bench.timing.harness import PROBE_MACS, Samples, Settings, measure, probe_peak, summary

ROOT = Path(__file__).parents[3]


def test_nested_stages_count_their_own_time_only() -> None:
    clock = StageClock()
    start = time.perf_counter()
    with listen(stages=clock), stage("outer"):
        time.sleep(0.02)
        with stage("inner"):
            time.sleep(0.05)
        time.sleep(0.02)
    whole = time.perf_counter() - start
    assert clock.calls == {"outer": 1, "inner": 1}
    assert clock.seconds["inner"] >= 0.05
    assert clock.seconds["outer"] >= 0.04
    # Counted twice, the inner one would make more than there was.
    assert clock.seconds["outer"] + clock.seconds["inner"] <= whole


def test_a_stage_that_raises_is_closed() -> None:
    clock = StageClock()
    with listen(stages=clock), pytest.raises(ValueError, match="x"), stage("a"), stage("b"):
        raise ValueError("x")
    with listen(stages=clock), stage("c"):
        pass
    assert set(clock.seconds) == {"a", "b", "c"}


def test_the_clock_waits_for_the_device() -> None:
    waits: list[int] = []
    clock = StageClock(lambda: waits.append(1))
    with listen(stages=clock), stage("a"):
        pass
    assert len(waits) == 2


class OneConvolution(nn.Module):
    """A method whose cost is known: one 3x3 convolution to invert, one to edit, 8 to 8 channels at 32 px."""

    name, domain = "one", "faces"
    input_size = output_size = (32, 32)
    latent_rows = 1
    stages = ("encode", "synthesise")

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 3, 3, padding=1, bias=False)

    def invert(self, images: Tensor) -> Inversion:
        with stage("encode"):
            return Inversion(self.convolution(images).flatten(1)[:, None])

    def edit(self, inversion: Inversion, delta: Tensor | None = None) -> Tensor:
        with stage("synthesise"):
            time.sleep(0.004)
            codes = inversion.codes if delta is None else inversion.codes + delta
            image: Tensor = self.convolution(codes.reshape(-1, 3, 32, 32))
            return image


def test_the_harness_measures_what_is_there() -> None:
    method = OneConvolution().eval()
    result = measure({"one": method}, "cpu", Settings(5, 8, 2, bf16=True, probe_size=4))  # type: ignore[dict-item]
    found = result["methods"]["one"]
    assert found["gmacs"] == pytest.approx(2 * 3 * 3 * 9 * 32 * 32 / 1e9)
    assert found["parameters"] == 81
    assert set(found["stages"]) == {"encode", "synthesise"}
    assert found["stages"]["synthesise"]["median"] >= 0.004
    assert found["median"] >= found["stages"]["synthesise"]["median"]
    assert found["iqr"][0] <= found["median"] <= found["iqr"][1]
    assert found["second_edit"]["median"] >= 0.004
    assert 0 < found["efficiency"] < 0.5
    assert 0 < found["bf16_deviation"]["max"] < 0.1
    assert result["peak_gmacs_fp32"] > 0.1
    assert found["peak_memory_bytes"] is None or found["peak_memory_bytes"] > 1e6


class CachesAImage(OneConvolution):
    """As ReStyle: the first call makes something once that later calls take from there."""

    def __init__(self) -> None:
        super().__init__()
        self.once: Tensor | None = None

    def invert(self, images: Tensor) -> Inversion:
        if self.once is None:
            self.once = self.convolution(images)
        return super().invert(images)


def test_what_the_first_call_makes_once_is_not_counted() -> None:
    methods = {"plain": OneConvolution().eval(), "caching": CachesAImage().eval()}
    first, again = (measure(methods, "cpu", Settings(1, 1, probe_size=4))["methods"] for _ in range(2))  # type: ignore[arg-type]
    assert first["caching"]["gmacs"] == again["caching"]["gmacs"] == first["plain"]["gmacs"]
    # Of two methods in one process nobody can tell whose peak it was.
    assert first["plain"]["peak_memory_bytes"] is None


def test_efficiency_is_work_over_time_over_peak() -> None:
    samples = Samples([0.5, 0.5, 0.5], [0.25, 0.25, 0.25], {"encode": [0.1, 0.3, 0.2]})
    found = summary(samples, gmacs=20.0, peak=80e9)
    assert found["efficiency"] == pytest.approx(0.5)
    assert found["second_edit"]["share_of_first"] == pytest.approx(0.5)
    assert found["stages"]["encode"]["median"] == pytest.approx(0.2)
    assert not found["unsteady"]
    assert summary(Samples([0.1] * 8 + [0.5] * 2, [0.1]), 1.0, 1e9)["unsteady"]


def test_the_probe_is_a_rate() -> None:
    start = time.perf_counter()
    rate = probe_peak("cpu", torch.float32, size=8)
    # The best single call is quicker than all of them together.
    assert rate > PROBE_MACS / 64 / (time.perf_counter() - start)


_ALLOCATE = """
import torch
from bench.timing.clock import peak_memory, reset_peak_memory
reset_peak_memory("cpu")
before = peak_memory("cpu")
big = torch.ones(64_000_000)
print(-1 if before is None else peak_memory("cpu") - before)
"""


def test_peak_memory_sees_a_large_tensor() -> None:
    # In a process of its own: this one may hold freed memory of other tests, and would take it from there.
    done = subprocess.run([sys.executable, "-c", _ALLOCATE], cwd=ROOT, capture_output=True, text=True, check=True)
    grown = int(done.stdout)
    if grown < 0:
        pytest.skip("this system does not say how much memory a process used")
    assert grown >= 150_000_000
