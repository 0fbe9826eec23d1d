"""The upper bound exchanges the flow and nothing else, and the true flow is the true one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.run.input import to_input
from bench.run.upper_bound import FLOWS, UpperBound, table, true_cells
from bench.world import open_world


@pytest.fixture(scope="module")
def bound() -> UpperBound:
    return UpperBound()


@torch.inference_mode()
def test_own_flow_gives_the_method_s_own_image(bound: UpperBound) -> None:
    world = open_world("test", 1)
    image, (_, turn, _) = world.images[0], bound.passes(["pose"])
    pixels = world.read(image)
    codes, taps = bound.method.base.encode(to_input(pixels, bound.method)[None])
    prepared = bound.model.prepare(bound.generator, codes, taps[bound.model.config.base_tap])
    assert turn.direction is not None
    delta = turn.direction.delta(codes, turn.strength)
    prefix = bound.model.prefix(bound.generator, codes + delta)
    cells = bound.flows(image, turn, prepared, codes + delta, prefix, 15.0)["WarpRes's flow"]
    made = bound.model.finish(bound.generator, prepared, codes + delta, prefix, cells).image
    inversion = bound.method.invert(to_input(pixels, bound.method)[None])
    assert torch.allclose(made, bound.method.edit(inversion, delta), atol=1e-5)


def test_every_flow_is_scored_and_the_true_one_is_nearest(bound: UpperBound) -> None:
    world = open_world("test", 2)
    passes = bound.passes(["pose+"])
    rows = [bound.measure(image, world.read(image), passes) for image in world.images]
    for row in rows:
        assert set(row) == {"reconstruction", "pose+"}
        # Nothing moved: the true flow of a reconstruction is no flow.
        still, true = row["reconstruction"]["no flow"], row["reconstruction"]["true flow"]
        assert still == pytest.approx(true, abs=1e-3)
        errors = {name: row["pose+"][name]["flow_epe"] for name in FLOWS}
        assert errors["true flow"] < 0.3 < errors["WarpRes's flow"] + 0.1 < errors["no flow"]
        assert row["pose+"]["true flow"]["achieved"] > row["pose+"]["no flow"]["achieved"]
    lines = list(table("pose+", [row["pose+"] for row in rows]))
    assert "n = 2" in lines[0]
    assert [line.split("|")[1].strip() for line in lines[3:]] == [*FLOWS, "true − WarpRes's"]


def test_true_cells_are_half_the_pixels(bound: UpperBound) -> None:
    """Turned by 10 degrees, the front of the head moves by sin(10°) of its depth: 5 px or so, half that in cells."""
    image, (_, turn) = open_world("test", 1).images[0], bound.passes(["pose+"])
    cells = true_cells(image, turn, 10.0)
    assert cells.shape == (1, 2, 32, 32)
    assert 1.0 < float(np.abs(cells[0, 0].numpy()).max()) < 4.0
    assert float(true_cells(image, turn, 0.0).abs().max()) < 1e-3
