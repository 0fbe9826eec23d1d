"""How images are resized for each method, as its authors' loaders do (protocol card 1.2, styleres card 7)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.run.input import to_input
from methods.featurestyle.adapter import FeatureStyle
from methods.hfgi.adapter import Hfgi
from methods.hyperstyle.adapter import HyperStyle
from methods.nets.base import LatentMethod
from methods.psp.adapter import PyramidMethod
from methods.registry import load_method
from methods.restyle.adapter import Restyle
from methods.styleres.adapter import ResidualMethod
from methods.styletransformer.adapter import StyleTransformer
from tests.unit.methods.small import write_small

SHIPPED = Path(__file__).parents[3] / "bench/world/weights"
PILLOW = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


@pytest.mark.parametrize("kind", [PyramidMethod, Restyle, HyperStyle, Hfgi, StyleTransformer, FeatureStyle])
def test_the_psp_family_and_featurestyle_resize_with_torchvisions_bilinear(kind: type[LatentMethod]) -> None:
    assert kind.input_filter == "bilinear"


def _resized_by(method: object, pixels: np.ndarray) -> str:
    found = to_input(pixels, method).numpy()
    size = (method.input_size[1], method.input_size[0])  # type: ignore[attr-defined]
    matches = [
        name
        for name, chosen in PILLOW.items()
        if np.array_equal(
            np.asarray(Image.fromarray(pixels).resize(size, chosen), np.float32).transpose(2, 0, 1) / 127.5 - 1, found
        )
    ]
    assert len(matches) == 1
    return matches[0]


def test_a_larger_image_comes_in_by_the_methods_own_filter(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    e4e = load_method("e4e", checkpoint=write_small(tmp_path, "e4e", "faces"))
    assert _resized_by(e4e, pixels) == "bilinear"
    parts = [SHIPPED / f"{name}.safetensors" for name in ("generator", "e4e")]
    for name in ("styleres", "warpres"):
        method = load_method(name, checkpoint=[SHIPPED / f"{name}.safetensors", *parts])
        assert isinstance(method, ResidualMethod)
        assert _resized_by(method, pixels) == "bicubic"


def test_a_image_of_the_right_size_is_not_touched(tmp_path: Path) -> None:
    method = load_method("e4e", checkpoint=write_small(tmp_path, "e4e", "faces"))
    pixels = np.random.default_rng(0).integers(0, 256, (*method.input_size, 3), dtype=np.uint8)
    back = (to_input(pixels, method).numpy().transpose(1, 2, 0) + 1) * 127.5
    assert np.array_equal(back.round().astype(np.uint8), pixels)
