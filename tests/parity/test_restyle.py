"""ReStyle computes what its authors' networks compute: five rounds, both images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from bench.core.contract import listen
from methods import load_method
from tests.filling import fill, golden_image
from tests.parity.comparison import batch_summary

pytestmark = pytest.mark.parity

CASES = [
    ("restyle", "faces", "restyle_e4e_ffhq"),
    ("restyle-psp", "faces", "restyle_psp_ffhq"),
    ("restyle", "cars", "restyle_e4e_cars"),
]


@pytest.mark.parametrize(("name", "domain", "golden"), CASES)
def test_rounds_images_and_edits(
    name: str, domain: Any, golden: str, filled: Callable[..., Any], comparison: Callable[..., Any]
) -> None:
    with filled(golden) as paths:
        method: Any = load_method(name, domain=domain, checkpoint=paths)
    expected = comparison(golden, method=name, domain=domain)
    expected.check_all(batch_summary("avg_image", method.average_image()))
    heard: dict[str, list[torch.Tensor]] = {"codes": [], "picture": []}
    images = golden_image()[:, :, 32:224] if domain == "cars" else golden_image()
    with listen(values=lambda key, value: heard[key].append(value)):
        inversion = method.invert(images)
    # Of the five rounds the golden keeps three.
    expected.check("latents", torch.stack([heard["codes"][step] for step in (0, 1, 4)]))
    assert torch.equal(inversion.codes, heard["codes"][4])
    expected.check_all(batch_summary("iter0_image", heard["picture"][0]))
    expected.check_all(batch_summary("image", method.edit(inversion)))
    delta = torch.from_numpy(fill("edit_direction", (method.latent_rows, 512), ["normal", 0.3]))
    expected.check_all(batch_summary("edit_image", method.edit(inversion, delta)))
    z = torch.from_numpy(fill("mapping_z", (2, 512), ["normal", 1.0]))
    expected.check("mapping_w", method.generator.mapping(z))
    assert not expected.unchecked()
