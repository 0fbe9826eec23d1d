"""KID against reference values and against torch-fidelity's own function."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from metrics.columns import Undefined
from metrics.kid import kernel_matrices, kid, mmd2_of_all, over_subsets
from tests.unit.metrics.reference import reference
from tests.unit.metrics.test_frechet import matrices

CASES = reference("kid")["cases"]


@pytest.mark.parametrize("case", sorted(CASES))
def test_reference(case: str) -> None:
    a, b = matrices(case)
    expected = CASES[case]

    def value(seed: int) -> float:
        return kid(a, b, subsets=expected["subsets"], subset_size=expected["subset_size"], seed=seed).value

    theirs = expected["torch_fidelity_seed2020"]["kernel_inception_distance_mean"]
    assert value(2020) == pytest.approx(theirs, rel=1e-9)
    assert value(2020) == pytest.approx(expected["own_rule_seed2020_mean"], rel=1e-9)
    assert value(7) == pytest.approx(expected["stylegan_formula_seed7"], rel=1e-9)


@pytest.mark.parametrize("case", sorted(CASES))
def test_spread_over_the_subsets(case: str) -> None:
    """Every subset is the reference's, not their mean alone: the standard deviations agree too."""
    expected = CASES[case]
    kernels = kernel_matrices(*matrices(case))
    spread = np.std(over_subsets(kernels, expected["subsets"], expected["subset_size"], 2020))
    assert spread == pytest.approx(expected["own_rule_seed2020_std"], rel=1e-9)
    theirs = expected["torch_fidelity_seed2020"]["kernel_inception_distance_std"]
    assert spread == pytest.approx(theirs, rel=1e-9)


@pytest.mark.parametrize("case", sorted(CASES))
def test_reference_of_all_images(case: str) -> None:
    a, b = matrices(case)
    expected = CASES[case]
    assert kid(a, b, subsets=0).value == pytest.approx(expected["unbiased_all"], rel=1e-9)
    assert mmd2_of_all(kernel_matrices(a, b), biased=True) == pytest.approx(expected["biased_all"], rel=1e-9, abs=1e-12)


def test_subset_follows_the_number_of_images() -> None:
    """With fewer images than the subset size torch-fidelity refuses; here the subset shrinks to N."""
    from torch_fidelity.metric_kid import kid_features_to_metric

    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((30, 8)), rng.standard_normal((25, 8)) + 0.3
    theirs = kid_features_to_metric(
        torch.from_numpy(a), torch.from_numpy(b), kid_subsets=7, kid_subset_size=25, rng_seed=3, verbose=False
    )
    ours = kid(a, b, subsets=7, subset_size=1000, seed=3)
    assert ours.value == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-12)


def test_influence_predicts_the_spread() -> None:
    rng = np.random.default_rng(0)
    values, predicted = [], []
    for _ in range(200):
        a, b = rng.standard_normal((60, 8)), rng.standard_normal((80, 8)) * 1.2 + 0.3
        estimate = kid(a, b, subsets=0)
        values.append(estimate.value)
        predicted.append(sum(part.var() / len(part) for part in estimate.influences))
    assert np.sqrt(np.mean(predicted)) == pytest.approx(np.std(values), rel=0.25)


def test_too_few_images_have_no_distance() -> None:
    with pytest.raises(Undefined):
        kid(np.zeros((1, 4)), np.zeros((5, 4)))
