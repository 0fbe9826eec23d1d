"""Equal achieved change: the search and what it measures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor

from bench.core.contract import Direction, Inversion
from bench.core.errors import UsageError
from bench.edits.matched import ChangeMeter, match_strength

CURVES: dict[str, Callable[[float], float]] = {
    "linear": lambda s: 0.4 * s,
    "saturating": lambda s: math.tanh(0.5 * s),
    "late": lambda s: 0.01 * s**3,
    "kinked": lambda s: max(0.0, abs(s) - 1.0) * math.copysign(0.3, s),
}


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("target", [0.3, 0.8, -0.5])
def test_the_strength_of_a_target_is_found(curve: str, target: float) -> None:
    found = match_strength(CURVES[curve], target, start=math.copysign(1.0, target), limit=12.0, tolerance=0.01)
    assert found.reached
    assert found.change == pytest.approx(target, rel=0.01)
    assert CURVES[curve](found.strength) == found.change
    assert len(found.trials) <= 12


def test_a_good_start_is_enough() -> None:
    assert len(match_strength(lambda s: 0.4 * s, 1.2, start=3.0, limit=9.0).trials) == 1


def test_a_decreasing_effect_is_followed() -> None:
    found = match_strength(lambda s: -0.2 * s, 0.7, start=-1.0, limit=10.0)
    assert found.strength == pytest.approx(-3.5, rel=0.03)


def test_saturation_is_reported_not_hidden() -> None:
    found = match_strength(math.tanh, 1.5, start=1.0, limit=8.0)
    assert not found.reached
    assert abs(found.strength) <= 8.0
    assert found.change == pytest.approx(1.0, abs=1e-3)


def test_trials_are_limited() -> None:
    calls: list[float] = []

    def step(strength: float) -> float:
        calls.append(strength)
        return 0.0 if strength < 2.7 else 1.0

    found = match_strength(step, 0.5, start=1.0, limit=8.0, max_trials=7)
    assert not found.reached
    assert len(calls) == len(found.trials) == 7


@pytest.mark.parametrize("options", [{"target": 0.0}, {"start": 0.0}, {"start": 9.0}, {"tolerance": 0.0}])
def test_impossible_questions_are_refused(options: dict[str, float]) -> None:
    asked = {"target": 1.0, "start": 1.0, "limit": 4.0} | options
    with pytest.raises(UsageError):
        match_strength(lambda s: s, asked.pop("target"), **asked)
    with pytest.raises(UsageError, match="must be a number"):
        match_strength(lambda s: math.nan, 1.0, start=1.0, limit=4.0)


class Painter:
    """A method whose image shows its first code everywhere, squashed."""

    name, domain, latent_rows, stages = "painter", "faces", 2, ()
    input_size = output_size = (4, 4)

    def invert(self, images: Tensor) -> Inversion:
        return Inversion(images.mean((1, 2, 3))[:, None, None].expand(-1, 2, 8).clone())

    def edit(self, inversion: Inversion, delta: Tensor | None = None) -> Tensor:
        codes = inversion.codes if delta is None else inversion.codes + delta
        return torch.tanh(codes[:, :1, :1])[..., None].expand(-1, 3, 4, 4)


def brightness(images: Tensor) -> Mapping[str, Tensor]:
    return {"smile": images.mean((1, 2, 3))}


def test_change_is_measured_between_reconstruction_and_edit() -> None:
    method = Painter()
    batches = [method.invert(torch.full((2, 3, 4, 4), value)) for value in (-0.2, 0.3)]
    direction = Direction("smile", "add", torch.ones(2, 8), "digest")
    meter = ChangeMeter(method, batches, brightness, "smile")  # type: ignore[arg-type]
    expected = sum(math.tanh(v + 0.5) - math.tanh(v) for v in (-0.2, 0.3)) / 2
    assert meter(direction, 0.5) == pytest.approx(expected, abs=1e-6)
    found = match_strength(lambda s: meter(direction, s), 0.4, start=1.0, limit=4.0)
    assert meter(direction, found.strength) == pytest.approx(0.4, rel=0.02)
    with pytest.raises(UsageError, match="nothing measures 'yaw'"):
        ChangeMeter(method, batches, brightness, "yaw")  # type: ignore[arg-type]
