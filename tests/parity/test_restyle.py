"""ReStyle computes what its authors' networks compute: five rounds, one picture of the goldens' two."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from bench.contract import listen
from methods import load_method
from tests.filling import fill, golden_image
from tests.parity.comparison import batch_summary

pytestmark = pytest.mark.parity

CASES = [
    ("restyle", "faces", "restyle_e4e_ffhq", 0),
    ("restyle-psp", "faces", "restyle_psp_ffhq", 1),
    ("restyle", "cars", "restyle_e4e_cars", 0),
]


@pytest.mark.parametrize(("name", "domain", "golden", "which"), CASES)
def test_rounds_pictures_and_edits(
    name: str, domain: Any, golden: str, which: int, filled: Callable[..., Any], comparison: Callable[..., Any]
) -> None:
    with filled(golden) as paths:
        method: Any = load_method(name, domain=domain, checkpoint=paths)
    expected = comparison(golden, method=name, domain=domain)
    one = slice(which, which + 1)

    def check(key: str, picture: torch.Tensor, rows: slice) -> None:
        for array, value in batch_summary(key, picture).items():
            expected.check(array, value, expected.expected(array)[rows])

    check("avg_image", method.average_picture(), slice(None))
    heard: dict[str, list[torch.Tensor]] = {"codes": [], "picture": []}
    images = (golden_image()[:, :, 32:224] if domain == "cars" else golden_image())[one]
    with listen(values=lambda key, value: heard[key].append(value)):
        inversion = method.invert(images)
    latents = expected.expected("latents")
    for kept, step in enumerate((0, 1, 4)):
        expected.check("latents", heard["codes"][step], latents[kept, one])
    assert torch.equal(inversion.codes, heard["codes"][4])
    check("iter0_image", heard["picture"][0], one)
    check("image", method.edit(inversion), one)
    delta = torch.from_numpy(fill("edit_direction", (method.latent_rows, 512), ["normal", 0.3]))
    check("edit_image", method.edit(inversion, delta), one)
    assert tuple(expected.expected("image_shape")[2:]) == method.output_size
    z = torch.from_numpy(fill("mapping_z", (2, 512), ["normal", 1.0]))
    expected.check("mapping_w", method.generator.mapping(z))
