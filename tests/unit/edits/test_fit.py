"""Directions that were planted in random codes are found again."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from bench.core.errors import MissingError, UsageError
from bench.edits.direction_files import read_tensor
from bench.edits.fit.estimators import fit_boundary, fit_pca, fit_regression, save_directions

N, D = 1500, 24


def planted(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Codes with unequal spreads, and a unit direction."""
    random = torch.Generator().manual_seed(seed)
    codes = torch.randn(N, D, generator=random) * torch.linspace(0.5, 2.0, D) + 0.3
    direction = torch.randn(D, generator=random)
    return codes, direction / direction.norm()


def noise(seed: int = 1) -> Tensor:
    return torch.randn(N, generator=torch.Generator().manual_seed(seed))


def test_a_boundary_is_found() -> None:
    codes, direction = planted()
    values = codes @ direction - 0.4
    found = fit_boundary(codes, values.sign(), penalty=1e-4)
    assert float(found.normal.norm()) == pytest.approx(1.0, abs=1e-6)
    assert float(found.normal @ direction) > 0.99
    assert found.intercept == pytest.approx(-0.4, abs=0.1)
    assert found.score > 0.97
    assert found.samples == N
    again = fit_boundary(codes, (values > 0).float(), penalty=1e-4)
    assert torch.equal(again.normal, found.normal)


def test_held_out_accuracy_knows_chance() -> None:
    codes, _ = planted()
    found = fit_boundary(codes, noise().sign())
    assert found.train_score > found.score
    assert 0.35 < found.score < 0.65


def test_a_regression_is_found() -> None:
    codes, direction = planted()
    values = 12.0 * (codes @ direction) + 5.0 + noise()
    found = fit_regression(codes, values)
    assert float(found.normal @ direction) > 0.999
    assert found.score > 0.95
    assert fit_regression(codes, noise()).score < 0.1


def test_components_are_ganspaces() -> None:
    codes, _ = planted()
    found = fit_pca(codes, 5)
    assert (found.mean.shape, found.comp.shape, found.std.shape) == ((1, D), (5, 1, D), (5,))
    assert torch.allclose(found.comp[:, 0] @ found.comp[:, 0].T, torch.eye(5), atol=1e-5)
    assert (found.std[:-1] >= found.std[1:]).all()
    coordinates = (codes - found.mean) @ found.comp[:, 0].T
    assert torch.allclose(coordinates.std(0), found.std, rtol=1e-4)
    largest = found.comp[:, 0].gather(1, found.comp[:, 0].abs().argmax(1, keepdim=True))
    assert (largest > 0).all()


@pytest.mark.parametrize(
    ("codes", "labels", "fault"),
    [
        (torch.randn(20, 3, 2), torch.ones(20), r"codes are \(N, D\)"),
        (torch.randn(20, 3), torch.ones(19), r"codes are \(N, D\)"),
        (torch.randn(5, 3), torch.ones(5), "too few"),
        (torch.full((20, 3), torch.nan), torch.ones(20), "not finite"),
        (torch.randn(20, 3), torch.ones(20), "all labels are the same"),
        (torch.randn(20, 3), torch.linspace(0, 1, 20), "labels of a boundary are -1 and 1"),
    ],
)
def test_samples_that_cannot_be_fitted_say_why(codes: Tensor, labels: Tensor, fault: str) -> None:
    with pytest.raises(UsageError, match=fault):
        fit_boundary(codes, labels)


def test_other_impossible_fits() -> None:
    with pytest.raises(UsageError, match="all values are the same"):
        fit_regression(torch.randn(20, 3), torch.ones(20))
    with pytest.raises(UsageError, match="do not exist"):
        fit_pca(torch.randn(20, 3), 4)


def test_what_was_fitted_is_read_again(tmp_path: Path) -> None:
    codes, direction = planted()
    found = fit_regression(codes, codes @ direction)
    path = tmp_path / "directions é.safetensors"
    save_directions(path, {"smile": found.normal}, {"score": f"{found.score:.3f}"})
    assert torch.equal(read_tensor(path, "smile"), found.normal)
    (tmp_path / "occupied").touch()
    with pytest.raises(MissingError, match="cannot write to"):
        save_directions(tmp_path / "occupied" / "x.safetensors", {"a": found.normal}, {})
