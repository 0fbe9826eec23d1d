"""pSp and e4e compute what their authors' networks compute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from methods import load_method
from tests.filling import fill, golden_image
from tests.parity.comparison import check_small_image, feature_summary, image_summary

pytestmark = pytest.mark.parity
# The generator's features in e4e's goldens: name -> layers that have run. Of the first two only mean and deviation.
FEATURES = {"g16b": 5, "g32b": 7, "g64a": 8, "g64b": 9}


@pytest.mark.parametrize(
    ("name", "domain", "golden"),
    [("e4e", "faces", "e4e_ffhq"), ("psp", "faces", "psp_ffhq"), ("e4e", "cars", "e4e_cars")],
)
def test_codes_features_images_and_edits(
    name: str, domain: Any, golden: str, filled: Callable[..., Any], comparison: Callable[..., Any]
) -> None:
    with filled(golden, namespace=domain == "cars") as paths:
        method: Any = load_method(name, domain=domain, checkpoint=paths)
    expected = comparison(golden, method=name, domain=domain)
    images = golden_image()[:, :, 32:224] if domain == "cars" else golden_image()
    assert tuple(images.shape[2:]) == method.input_size

    codes, taps = method.encode(images)
    expected.check("codes", codes)
    expected.check("encoder_raw", method.encoder(images), expected.expected("codes") - method.latent_avg.numpy())
    for index, tap in enumerate(taps):
        expected.check_all(feature_summary(f"c{index}", tap))

    inversion = method.invert(images[:1])
    torch.testing.assert_close(inversion.codes, codes[:1], atol=1e-4, rtol=1e-4)
    inversion = type(inversion)(codes)
    for key, stop in FEATURES.items() if name == "e4e" else ():
        small = {} if "64" in key else dict.fromkeys((f"{key}_pool", f"{key}_crop"), "left out to stay small")
        expected.check_all(feature_summary(key, method.generator.advance(None, codes, stop).x), absent=small)
    image = method.edit(inversion)
    assert tuple(image.shape[2:]) == method.output_size
    expected.check_all(image_summary("image", image))
    check_small_image(expected, image, method.input_size)
    delta = torch.from_numpy(fill("edit_direction", (method.latent_rows, 512), ["normal", 0.3]))
    expected.check_all(image_summary("edit", method.edit(inversion, delta)))
    assert not expected.unchecked()
