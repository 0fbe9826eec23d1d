"""The clock over all full-size methods keeps what it has and goes on after a method that fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.core.contract import Inversion, announce, stage
from methods.registry import entries
from tests.benchmarks import full_size_times


class Halves(torch.nn.Module):
    """A method that costs nothing."""

    input_size, output_size, latent_rows, stages = (8, 8), (8, 8), 4, ("encode",)

    def invert(self, images: torch.Tensor) -> Inversion:
        with stage("encode"):
            announce("codes", images)
            return Inversion(images.mean((2, 3))[:, None].expand(-1, 4, -1))

    def edit(self, inversion: Inversion, delta: Any = None) -> torch.Tensor:
        return inversion.codes.mean(1)[:, :, None, None].expand(-1, -1, 8, 8) * 0.5


def test_every_method_named_is_registered() -> None:
    for domain, methods in full_size_times.METHODS.items():
        for name in methods:
            assert domain in entries()[name].domains, name


@pytest.mark.parametrize("apart", [True, False])
def test_a_method_that_fails_is_left_out(apart: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def built(name: str, domain: str, device: str) -> Any:
        return None if name == "hyperstyle" else Halves()

    monkeypatch.setattr(full_size_times, "_built", built)
    monkeypatch.setattr("bench.timing.harness.probe_peak", lambda *_, **__: 1e9)
    words = ["--domains", "cars", "--samples", "1", "--warm-up", "1", "--into", str(tmp_path)]
    assert full_size_times.main([*words, *(["--apart"] if apart else [])]) == 1
    record = json.loads((tmp_path / "times-cars-cpu.json").read_text())
    assert set(record["methods"]) == full_size_times.METHODS["cars"].keys() - {"hyperstyle"}
    assert record["interleaved"] is not apart
    assert "warpres" in (tmp_path / "times-cars-cpu.txt").read_text()
