"""pSp and e4e compute what their authors' networks compute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from methods import load_method
from tests.filling import fill, golden_image
from tests.parity.comparison import feature_summary, picture_summary

pytestmark = pytest.mark.parity


@pytest.mark.parametrize(
    ("name", "domain", "golden"),
    [("e4e", "faces", "e4e_ffhq"), ("psp", "faces", "psp_ffhq"), ("e4e", "cars", "e4e_cars")],
)
def test_codes_features_pictures_and_edits(
    name: str, domain: Any, golden: str, filled: Callable[..., Any], comparison: Callable[..., Any]
) -> None:
    with filled(golden, namespace=domain == "cars") as paths:
        method: Any = load_method(name, domain=domain, checkpoint=paths)
    expected = comparison(golden, method=name, domain=domain)
    images = golden_image()[:, :, 32:224] if domain == "cars" else golden_image()
    assert tuple(images.shape[2:]) == method.input_size

    codes, taps = method.encode(images)
    expected.check("codes", codes)
    for index, tap in enumerate(taps):
        expected.check_all(feature_summary(f"c{index}", tap))

    inversion = method.invert(images[:1])
    torch.testing.assert_close(inversion.codes, codes[:1], atol=1e-4, rtol=1e-4)
    inversion = type(inversion)(codes)
    if domain == "faces" and name == "e4e":
        expected.check_all(feature_summary("g64a", method.generator.advance(None, codes, 8).x))
    picture = method.edit(inversion)
    assert tuple(picture.shape[2:]) == method.output_size
    expected.check_all(picture_summary("image", picture))
    delta = torch.from_numpy(fill("edit_direction", (method.latent_rows, 512), ["normal", 0.3]))
    expected.check_all(picture_summary("edit", method.edit(inversion, delta)))
