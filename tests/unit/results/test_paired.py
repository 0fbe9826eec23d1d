"""Differences of two methods on the same images."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from bench.cli import main
from bench.results.frame import frame_of
from bench.results.manifest import write_manifest
from bench.results.paired import Difference, Pairs
from bench.results.row import Row
from bench.results.store import ShardWriter
from metrics.intervals import mean_interval
from metrics.protocol import Failures, load_protocol

RULES = {"synthetic-1": load_protocol("synthetic-1")}


def _rows(method: str, ids: list[float], metric: str = "id") -> list[Row]:
    return [
        Row(f"{i}.jpg", "aa", method, "bb", "pose+", "cc", 3.0, "synthetic-1", "dd", values={metric: value})
        for i, value in enumerate(ids)
    ]


def _better(column: str) -> Literal["up", "down", "none"]:
    ways: dict[str, Literal["up", "down", "none"]] = {"id": "up", "lpips": "down"}
    return ways.get(column.removesuffix("@synthetic-1"), "none")


def _one(first: list[float], second: list[float], stem: str = "id") -> Difference:
    rows = _rows("a", first, stem) + _rows("b", second, stem)
    (found,) = Pairs(frame_of(rows), RULES).all_differences("a", "b", _better)
    return found


@pytest.mark.parametrize(("metric", "verdict"), [("id", "better"), ("lpips", "worse"), ("achieved", "")])
def test_a_small_shift_of_hard_and_easy_images_is_seen(metric: str, verdict: str) -> None:
    """The means' own intervals are forty times as wide as the difference."""
    hard = np.linspace(0.1, 0.9, 40)
    shifted = hard + 0.01 + 0.002 * np.sin(np.arange(40))
    found = _one(hard.tolist(), shifted.tolist(), metric)
    assert found.n == 40
    assert found.value == pytest.approx(float((shifted - hard).mean()))
    assert found.low is not None and found.high is not None
    assert 0.008 < found.low < found.value < found.high < 0.012
    assert found.verdict == verdict


def test_no_shift_is_the_same_and_one_image_has_no_interval() -> None:
    noise = np.random.default_rng(0).normal(size=50)
    assert _one([0.0] * 50, (noise - noise.mean()).tolist()).verdict == "not separable"
    alone = _one([0.1], [0.9])
    assert (alone.low, alone.high, alone.verdict) == (None, None, "too few")


def test_below_the_protocol_s_smallest_number_of_images_nobody_is_better() -> None:
    """29 images that all say the same are one short of the 30 that resampling needs."""
    few, enough = (_one([0.5] * n, [0.6] * n) for n in (29, 30))
    assert (few.verdict, few.differs, few.leaves_out_zero) == ("too few", False, True)
    assert (enough.verdict, enough.differs) == ("better", True)


def test_an_interval_does_not_depend_on_other_methods_or_on_the_order() -> None:
    random = np.random.default_rng(1)
    ones, others = (random.normal(size=40).tolist() for _ in range(2))
    rows = _rows("a", ones) + _rows("b", others)
    alone = Pairs(frame_of(rows), RULES).difference("pose+", "id@synthetic-1", "a", "b")
    among = Pairs(frame_of([*_rows("c", [9.0] * 50), *rows[::-1]]), RULES).difference(
        "pose+", "id@synthetic-1", "a", "b"
    )
    assert alone == among and alone is not None
    low, high = mean_interval([b - a for a, b in zip(ones, others, strict=True)], RULES["synthetic-1"].numbers)
    assert (alone.low, alone.high) == (pytest.approx(low), pytest.approx(high))


def test_a_failure_counts_as_its_mean_counts_it() -> None:
    """Where a failed image is a zero of the mean, it is one of the difference."""
    zero = replace(RULES["synthetic-1"], failures=Failures("zero"))
    rows = _rows("a", [0.5] * 40) + _rows("b", [0.5] * 40)
    rows[-1] = replace(rows[-1], status="failed", values={})
    found = Pairs(frame_of(rows), {"synthetic-1": zero}).difference("pose+", "id@synthetic-1", "a", "b")
    assert found is not None and (found.n, found.value) == (40, pytest.approx(-0.5 / 40))


def test_only_images_that_both_methods_have_count() -> None:
    rows = _rows("a", [0.1, 0.2, 0.3]) + _rows("b", [0.2, 0.3, 0.4, 9.0]) + _rows("c", [5.0])
    rows[1] = replace(rows[1], status="failed", values={})
    (found,) = Pairs(frame_of(rows), RULES).all_differences("a", "b", _better)
    assert found.n == 2
    assert found.value == pytest.approx(0.1)


def test_the_command_prints_and_refuses_strangers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)
    ids = np.linspace(0.9, 0.95, 40)
    rows = _rows("styleres", ids.tolist()) + _rows("warpres", (ids + 0.02).tolist())
    with ShardWriter(tmp_path, "0") as writer:
        writer.append([(row, {}) for row in rows])
    about = {"digest": "bb", "passes": {"pose+": {"edit_digest": "cc", "strength": 3.0}}}
    images = {row.image: {"digest": "aa", "attributes": {}} for row in rows}
    manifest = {
        "format": 1, "methods": {"styleres": about, "warpres": about, "hfgi": {}}, "passes": [{"column": "pose+"}],
        "protocols": {"synthetic-1": {"digest": "dd", "file": ""}}, "pictures": images,
    }  # fmt: skip
    write_manifest(tmp_path, manifest)
    assert main(["compare", str(tmp_path), "styleres", "warpres"]) == 0
    text = capsys.readouterr().out
    assert "Pose +, synthetic-1, n = 40" in text and "ID ↑" in text
    assert "better   +0.0200 [+0.0200, +0.0200]" in text
    assert max(map(len, text.splitlines())) <= 80
    assert main(["compare", str(tmp_path), "styleres", "warpres", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["verdict"] == "better"
    assert main(["compare", str(tmp_path), "styleres", "hfgi"]) == 3
    assert "no image that both styleres and hfgi made" in capsys.readouterr().err
    assert main(["compare", str(tmp_path), "styleres", "warpress"]) == 2
    assert "warpres" in capsys.readouterr().err
