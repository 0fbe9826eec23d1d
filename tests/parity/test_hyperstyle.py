"""HyperStyle computes what its authors' networks compute: five rounds, one picture of the goldens' two."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.contract import listen
from methods import load_method
from methods.hyperstyle.network import TUNED, layer_of
from tests.filling import fill, golden_image
from tests.parity.comparison import batch_summary

pytestmark = pytest.mark.parity


def offset_summary(name: str, offset: Tensor) -> dict[str, Tensor]:
    offset = offset.expand(-1, -1, -1, 3, 3)
    return {
        f"{name}_slice": offset[:, :8, :8],
        f"{name}_rowmean": offset.mean((2, 3, 4)),
        f"{name}_colmean": offset.mean((1, 3, 4)),
        f"{name}_mean": offset.mean((1, 2, 3, 4)),
        f"{name}_std": offset.std((1, 2, 3, 4), unbiased=False),
    }


@pytest.mark.parametrize(
    ("domain", "golden", "which"), [("faces", "hyperstyle_ffhq", 0), ("cars", "hyperstyle_cars", 1)]
)
def test_codes_offsets_pictures_and_edits(
    domain: Any, golden: str, which: int, filled: Callable[..., Any], comparison: Callable[..., Any]
) -> None:
    with filled(golden) as paths:
        method: Any = load_method("hyperstyle", domain=domain, checkpoint=paths[:: -1 if domain == "cars" else 1])
    expected = comparison(golden, method="hyperstyle", domain=domain)
    one = slice(which, which + 1)

    def check(arrays: dict[str, Tensor]) -> None:
        for key, value in arrays.items():
            expected.check(key, value, expected.expected(key)[one])

    first: dict[str, Tensor] = {}
    pictures: list[Tensor] = []

    def hear(key: str, value: Tensor) -> None:
        if key == "picture":
            pictures.append(value)
        else:
            first.setdefault(key, value)

    images = (golden_image()[:, :, 32:224] if domain == "cars" else golden_image())[one]
    with listen(values=hear):
        inversion = method.invert(images)
    expected.check("codes", inversion.codes, expected.expected("codes")[one])
    check(batch_summary("w_inversion_image", F.adaptive_avg_pool2d(pictures[0], method.input_size)))
    check(batch_summary("iter0_image", pictures[1]))
    for index in TUNED:
        layer = layer_of(index)
        if layer in inversion.offsets:
            check(offset_summary(f"iter0_delta_{index}", first[f"offset {layer}"]))
            check(offset_summary(f"delta_{index}", inversion.offsets[layer]))
    check(batch_summary("image", method.edit(inversion)))
    delta = torch.from_numpy(fill("edit_direction", (method.latent_rows, 512), ["normal", 0.3]))
    check(batch_summary("edit_image", method.edit(inversion, delta)))
