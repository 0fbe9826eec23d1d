"""Cells: means, intervals, N, failures and their rules."""

from __future__ import annotations

import numpy as np
import pytest

from metrics.columns import Estimate, Influences
from metrics.floors import half_split, random_halves
from metrics.frechet import frechet_distance, frechet_estimate
from metrics.intervals import estimate_interval, mean_interval
from metrics.protocol import Bootstrap, load_protocol
from metrics.summary import WHOLE_IMAGE, Cell, summarise

NUMBERS = Bootstrap()


def test_mean_interval_is_the_usual_one_for_many_images() -> None:
    values = np.random.default_rng(0).normal(3.0, 2.0, 900)
    low, high = mean_interval(list(values), NUMBERS)
    assert low is not None and high is not None
    half = 1.96 * values.std() / 30
    assert low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_mean_interval_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    numbers = Bootstrap(resamples=400)
    hits = 0
    for _ in range(300):
        low, high = mean_interval(list(rng.exponential(1.0, 80)), numbers)
        assert low is not None and high is not None
        hits += low <= 1.0 <= high
    assert 0.88 <= hits / 300 <= 0.98


def test_interval_does_not_depend_on_order() -> None:
    values = list(np.random.default_rng(0).random(50))
    assert mean_interval(values, NUMBERS) == mean_interval(values[::-1], NUMBERS)


def test_few_images_have_no_interval() -> None:
    assert mean_interval([1.0], NUMBERS) == (None, None)
    assert mean_interval([1.0, 1.0, 1.0], NUMBERS) == (1.0, 1.0)


@pytest.mark.parametrize(("count", "width"), [(400, 8), (60, 120)])
def test_frechet_interval_has_the_spread_of_repeated_measurement(count: int, width: int) -> None:
    """Drawn anew from their populations, FDs spread as the intervals of single measurements say, full rank or not."""
    rng = np.random.default_rng(2)
    scale = np.linspace(1.5, 0.2, width)
    values, widths = [], []
    for _ in range(60):
        a = rng.standard_normal((count, width)) * scale
        b = rng.standard_normal((count, width)) * scale[::-1] + 0.3
        estimate = frechet_estimate(a, b)
        low, high = estimate_interval(estimate, Bootstrap(resamples=300))
        assert low is not None and high is not None
        assert low < estimate.value < high
        values.append(estimate.value)
        widths.append(high - low)
    assert np.mean(widths) / (2 * 1.96) == pytest.approx(np.std(values), rel=0.3)


@pytest.mark.parametrize(("count", "width"), [(400, 8), (60, 120)])
def test_frechet_interval_of_pairs(count: int, width: int) -> None:
    """Reconstructions move with their originals: drawn together the spread is right, drawn apart far too wide."""
    rng = np.random.default_rng(5)
    scale = np.linspace(1.5, 0.2, width)
    values, together, apart = [], [], []
    for _ in range(60):
        real = rng.standard_normal((count, width)) * scale
        made = 0.9 * real + 0.3 * rng.standard_normal((count, width)) + 0.05
        estimate = frechet_estimate(made, real)
        values.append(estimate.value)
        for widths, paired in ((together, True), (apart, False)):
            low, high = estimate_interval(estimate, Bootstrap(resamples=300), paired=paired)
            assert low is not None and high is not None
            widths.append(high - low)
    assert np.mean(together) / (2 * 1.96) == pytest.approx(np.std(values), rel=0.3)
    assert np.mean(apart) > 2 * np.mean(together)


def test_interval_stops_at_the_smallest_value() -> None:
    influences = Influences(np.array([-50.0, 50.0]), np.array([-50.0, 50.0]))
    low, high = estimate_interval(Estimate(1.0, influences), NUMBERS)
    assert low == 0
    assert high == pytest.approx(101)
    low, _ = estimate_interval(Estimate(1.0, influences, floor=None), NUMBERS)
    assert low == pytest.approx(-99)


def test_paired_sets_are_drawn_together() -> None:
    rng = np.random.default_rng(0)
    shared = rng.standard_normal(200)
    estimate = Estimate(5.0, Influences(shared, -shared))
    assert estimate_interval(estimate, NUMBERS, paired=True) == (5.0, 5.0)
    low, high = estimate_interval(estimate, NUMBERS)
    assert low is not None and high is not None
    assert high - low > 0.2


def rows(count: int) -> tuple[list[dict[str, float]], list[dict[str, str]]]:
    values = [
        {"lpips": 0.1 * i, "ssim": 0.9, "mse": 0.5, "psnr": 20.0, "id": 0.5, "lpips_vgg": 0.3} for i in range(count)
    ]
    return values, [{} for _ in range(count)]


def test_skip_leaves_failures_out_and_counts_them() -> None:
    values, failures = rows(10)
    for i in (2, 5):
        del values[i]["id"]
        failures[i]["id"] = "no face found in the generated image"
    cell = summarise(values, failures, {}, {}, "paper-1")["id@paper-1"]
    assert (cell.value, cell.n, cell.failed, cell.rule) == (0.5, 8, 2, "skip")


def test_zero_counts_failures_as_nothing_in_common() -> None:
    values, failures = rows(10)
    for i in (2, 5):
        values[i].clear()
        failures[i] = {WHOLE_IMAGE: "the generated picture holds NaN"}
    cells = summarise(values, failures, {}, {}, "standard-1")
    identity = cells["id@standard-1"]
    assert (identity.value, identity.n, identity.failed, identity.rule) == (pytest.approx(0.4), 10, 2, "zero")
    # In a distance 0 would be the best value: left out, counted, and said so.
    distance = cells["lpips@standard-1"]
    assert (distance.n, distance.failed, distance.rule) == (8, 2, "skip")


def test_nan_in_a_row_is_a_failure_not_a_mean() -> None:
    values, failures = rows(4)
    values[0]["lpips"] = float("nan")
    cell = summarise(values, failures, {}, {}, "paper-1")["lpips@paper-1"]
    assert (cell.n, cell.failed) == (3, 1)
    assert cell.value == pytest.approx((0.1 + 0.2 + 0.3) / 3)


def test_nothing_left_is_a_cell_without_a_value() -> None:
    cells = summarise([{}, {}], [{"id_mtcnn": "no face"}] * 2, {}, {}, "paper-1")
    assert cells["id_mtcnn@paper-1"] == Cell(None, None, None, 0, 2, "skip")


def test_missing_columns_have_no_cell() -> None:
    values, failures = rows(3)
    for row in values:
        del row["id"]
    cells = summarise(values, failures, {}, {}, "paper-1")
    assert "id@paper-1" not in cells
    assert "fid@paper-1" not in cells
    assert "lpips@paper-1" in cells
    # A car has no face, whatever the rows say.
    assert "id@paper-1" not in summarise(*rows(3), {}, {}, "paper-1", domain="cars")


def test_a_method_that_fails_on_every_image_has_cells_that_say_so() -> None:
    for protocol in ("paper-1", "standard-1"):
        cells = summarise([{}] * 4, [{WHOLE_IMAGE: "NaN"}] * 4, {}, {}, protocol)
        assert set(cells) == {f"{c.metric}@{protocol}" for c in load_protocol(protocol).of("faces")}
        assert {(c.value, c.low, c.n, c.failed) for c in cells.values()} == {(None, None, 0, 4)}
    # Columns whose network is missing have no cell even then.
    some = summarise([{}] * 4, [{WHOLE_IMAGE: "NaN"}] * 4, {}, {}, "paper-1", measured={"psnr", "fid"})
    assert set(some) == {"psnr@paper-1", "fid@paper-1"}
    # One failed image among others does not make a cell of a column that the others lack.
    one = summarise([{}, {"psnr": 20.0}], [{WHOLE_IMAGE: "NaN"}, {}], {}, {}, "paper-1")
    assert set(one) == {"psnr@paper-1"}
    assert one["psnr@paper-1"].failed == 1


def test_features_that_are_all_nan_are_failures_of_their_column() -> None:
    values, failures = [{"psnr": 20.0}] * 3, [{"fid": "the features have NaN"}] * 3
    reals = {"fid": np.zeros((3, 4), np.float32)}
    cell = summarise(values, failures, {}, reals, "paper-1")["fid@paper-1"]
    assert (cell.value, cell.n, cell.failed, cell.reference_n) == (None, 0, 3, 3)


def test_set_metrics() -> None:
    rng = np.random.default_rng(0)
    made, real = rng.standard_normal((30, 12)).astype(np.float32), rng.standard_normal((25, 12)).astype(np.float32) + 1
    failures: list[dict[str, str]] = [{} for _ in range(31)]
    failures[4] = {WHOLE_IMAGE: "unreadable"}
    cells = summarise([{}] * 31, failures, {"fid": made}, {"fid": real}, "standard-1")
    fid, kid = cells["fid@standard-1"], cells["kid@standard-1"]
    assert fid.value == pytest.approx(frechet_distance(made, real))
    assert (fid.n, fid.failed, fid.reference_n) == (30, 1, 25)
    assert fid.low is not None and fid.high is not None and fid.value is not None
    assert fid.low < fid.value < fid.high
    assert kid.value is not None and kid.low is not None
    assert kid.low < kid.value


def test_one_image_is_not_a_set() -> None:
    features = np.zeros((1, 4), np.float32)
    cell = summarise([], [], {"fid": features}, {"fid": np.zeros((9, 4), np.float32)}, "standard-1")["fid@standard-1"]
    assert (cell.value, cell.n, cell.reference_n) == (None, 1, 9)


def test_order_of_images_does_not_change_a_cell() -> None:
    values, failures = rows(20)
    for i, row in enumerate(values):
        row["lpips"] = float(np.sin(i))
    order = np.random.default_rng(0).permutation(20)
    shuffled = summarise([values[i] for i in order], failures, {}, {}, "paper-1")
    assert shuffled == summarise(values, failures, {}, {}, "paper-1")


def test_half_split_floor() -> None:
    first, second = random_halves(11, 3)
    assert len(first) == len(second) == 5
    assert not set(first) & set(second)
    features = {"fid": np.random.default_rng(0).standard_normal((40, 6)).astype(np.float32)}
    cell = half_split(features, load_protocol("standard-1"))["fid@standard-1"]
    assert (cell.n, cell.reference_n) == (20, 20)
    assert cell.value is not None and cell.value > 0
