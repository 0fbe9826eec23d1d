"""The Fréchet distance against reference values, its speed, and its influence values against brute force."""

from __future__ import annotations

import time

import numpy as np
import pytest

from metrics.columns import Undefined
from metrics.frechet import frechet_distance, frechet_estimate
from tests.filling import fill
from tests.unit.metrics.reference import reference

CASES = reference("frechet")["cases"]
# Square-root based references differ from the exact value by up to 2e-6 where covariances are singular.
SINGULAR = {"rank_deficient", "constant_column", "identical", "identical_rank_deficient", "relu_f32"}


def matrices(case: str) -> tuple[np.ndarray, np.ndarray]:
    """The feature matrices of a case, as the reference file describes them."""

    def f(name: str, shape: tuple[int, int], *rule: float) -> np.ndarray:
        return fill(f"metrics.{name}", shape, ["normal", *rule], dtype="float64")

    match case:
        case "well":
            return f("well.a", (200, 16), 1.0), f("well.b", (160, 16), 0.7, 0.3)
        case "correlated":
            mix = f("corr.mix", (24, 24), 0.3)
            return f("corr.a", (150, 24), 1.0) @ mix, f("corr.b", (180, 24), 1.0) @ mix.T + 0.1
        case "rank_deficient":
            return f("rank.a", (24, 64), 1.0), f("rank.b", (30, 64), 1.2, 0.2)
        case "nearly_singular":
            scale = 10 ** np.linspace(0, -6, 32)
            return f("near.a", (100, 32), 1.0) * scale, f("near.b", (100, 32), 1.0) * scale * 1.1 + 0.01
        case "constant_column":
            a, b = f("dead.a", (80, 12), 1.0), f("dead.b", (90, 12), 1.0, 0.5)
            a[:, 3:7], b[:, 3:6] = 0, 0
            return a, b
        case "identical":
            return (a := f("same.a", (60, 20), 1.0)), a
        case "identical_rank_deficient":
            return (a := f("same2.a", (10, 20), 1.0)), a
        case "shift_only":
            return (a := f("shift.a", (60, 20), 1.0)), a + 0.25
        case "relu_f32":
            a = np.maximum(f("relu.a", (90, 48), 0.4, 0.1), 0)
            b = np.maximum(f("relu.b", (70, 48), 0.45, 0.12), 0)
            return a.astype(np.float32), b.astype(np.float32)
    raise AssertionError(f"no rule for the case {case}")


@pytest.mark.parametrize("case", sorted(CASES))
def test_reference(case: str) -> None:
    a, b = matrices(case)
    expected = CASES[case]
    assert a.sum(dtype=np.float64) == pytest.approx(expected["a_sum"], rel=1e-12)
    assert b.sum(dtype=np.float64) == pytest.approx(expected["b_sum"], rel=1e-12)
    value = frechet_distance(a, b)
    if case not in SINGULAR:
        assert value == pytest.approx(expected["value"], rel=1e-9)
    assert value == pytest.approx(expected["value"], abs=1e-5)
    # The reference's own route is ours: it is met far closer than the tolerance allows.
    assert value == pytest.approx(expected["value"], rel=1e-9, abs=1e-9)


ROUTES = ("eigh_symmetric", "pytorch_fid_formula_scipy_sqrtm", "stargan_v2_formula_scipy_sqrtm", "torch_fidelity")


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("case", sorted(CASES))
def test_other_routes_to_the_same_distance(case: str, route: str) -> None:
    """What the packages' formulas gave for these matrices; theirs may come out slightly negative, ours is cut at 0."""
    assert set(CASES[case]) >= set(ROUTES)
    value, theirs = frechet_distance(*matrices(case)), CASES[case][route]
    if case not in SINGULAR:
        assert value == pytest.approx(theirs, rel=1e-9)
    assert value == pytest.approx(max(theirs, 0.0), abs=1e-5)


@pytest.mark.parametrize("case", sorted(CASES))
def test_symmetric_and_never_negative(case: str) -> None:
    a, b = matrices(case)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-9, abs=1e-9)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(a, a) >= 0


def test_order_of_rows_does_not_matter() -> None:
    a, b = matrices("rank_deficient")
    assert frechet_distance(a[::-1], b) == pytest.approx(frechet_distance(a, b), rel=1e-12)


def test_true_size_takes_seconds() -> None:
    rng = np.random.default_rng(0)
    scale = np.linspace(1, 0.01, 2048)
    a = (rng.standard_normal((1339, 2048)) * scale).astype(np.float32)
    b = (rng.standard_normal((1485, 2048)) * scale * 1.1).astype(np.float32)
    # Processor time, not the wall's: other work on the machine is not ours to fail for.
    start = time.process_time()
    estimate = frechet_estimate(a, b)
    assert time.process_time() - start < 15
    assert np.isfinite(estimate.value)


@pytest.mark.parametrize(("n", "m", "width"), [(40, 30, 60), (60, 50, 20), (60, 15, 20)])
def test_influence_is_the_derivative_by_weight(n: int, m: int, width: int) -> None:
    """Giving one image a little more weight moves the value by that much times its influence."""
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((n, width)), rng.standard_normal((m, width)) * 1.3 + 0.2
    estimate = frechet_estimate(a, b)

    def weighted(extra: float, row: int) -> float:
        weight = np.full(n, (1 - extra) / n)
        weight[row] += extra
        mean = weight @ a
        left = (a - mean) * np.sqrt(weight * n / (n - 1))[:, None]
        right = (b - b.mean(0)) / np.sqrt(m - 1)
        shift = mean - b.mean(0)
        root = np.linalg.svd(left @ right.T, compute_uv=False).sum()
        return float(shift @ shift + (left**2).sum() + (right**2).sum() - 2 * root)

    step = 1e-5
    for row in (0, n // 2, n - 1):
        slope = (weighted(step, row) - weighted(-step, row)) / (2 * step)
        assert estimate.influences.generated[row] == pytest.approx(slope, rel=1e-4, abs=1e-5)
    assert estimate.influences.generated.mean() == pytest.approx(0, abs=1e-9)
    assert estimate.influences.reference.mean() == pytest.approx(0, abs=1e-9)
    swapped = frechet_estimate(b, a)
    np.testing.assert_allclose(swapped.influences.reference, estimate.influences.generated, rtol=1e-8, atol=1e-8)


def test_too_few_images_have_no_distance() -> None:
    with pytest.raises(Undefined):
        frechet_distance(np.zeros((1, 4)), np.zeros((5, 4)))
