"""Yaw from landmarks: right for a turned model, and opposite for a mirrored photograph."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data.align.yaw import landmark_yaw, yaw_of

PHOTOGRAPHS = Path(__file__).parents[3].parent / "shared" / "data" / "celebahq" / "CelebA-HQ-img"


@pytest.mark.parametrize("degrees", [-35.0, 0.0, 12.5, 50.0])
@pytest.mark.parametrize("roll", [0.0, 20.0])
def test_a_turned_head_gives_its_yaw(degrees: float, roll: float) -> None:
    head = {36: (-225.0, -60.0, 0.0), 45: (225.0, -60.0, 0.0), 30: (0.0, 90.0, 135.0)}
    turn, tilt = math.radians(degrees), math.radians(roll)
    landmarks = np.zeros((68, 2))
    for at, (x, y, z) in head.items():
        across = x * math.cos(turn) + z * math.sin(turn)
        landmarks[at] = (
            0.3 * (across * math.cos(tilt) - y * math.sin(tilt)) + 100,
            0.3 * (across * math.sin(tilt) + y * math.cos(tilt)) + 80,
        )
    assert yaw_of(landmarks) == pytest.approx(degrees, abs=1e-6)


def test_a_mirrored_photograph_is_turned_the_other_way() -> None:
    meter, files = landmark_yaw(), sorted(PHOTOGRAPHS.glob("*.jpg"))[:2]
    if meter is None or not files:
        pytest.skip("needs the extra align and the photographs of ../shared")
    for file in files:
        image = np.asarray(Image.open(file).convert("RGB"))
        yaw, mirrored = meter(image), meter(np.ascontiguousarray(image[:, ::-1]))
        if yaw is not None and mirrored is not None:
            assert yaw == pytest.approx(-mirrored, abs=6)
