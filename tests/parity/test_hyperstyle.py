"""HyperStyle computes what its authors' networks compute: five rounds, both images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.core.contract import listen
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


@pytest.mark.parametrize(("domain", "golden"), [("faces", "hyperstyle_ffhq"), ("cars", "hyperstyle_cars")])
def test_codes_offsets_images_and_edits(
    domain: Any, golden: str, filled: Callable[..., Any], comparison: Callable[..., Any]
) -> None:
    with filled(golden) as paths:
        method: Any = load_method("hyperstyle", domain=domain, checkpoint=paths[:: -1 if domain == "cars" else 1])
    expected = comparison(golden, method="hyperstyle", domain=domain)
    first: dict[str, Tensor] = {}
    heard: list[Tensor] = []

    def hear(key: str, value: Tensor) -> None:
        if key != "picture":
            first.setdefault(key, value)
        elif len(heard) < 2:
            heard.append(value)

    images = golden_image()[:, :, 32:224] if domain == "cars" else golden_image()
    with listen(values=hear):
        inversion = method.invert(images)
    expected.check("codes", inversion.codes)
    expected.check_all(batch_summary("w_inversion_image", F.adaptive_avg_pool2d(heard[0], method.input_size)))
    expected.check_all(batch_summary("iter0_image", heard[1]))
    for index in TUNED:
        layer = layer_of(index)
        if layer in inversion.offsets:
            expected.check_all(offset_summary(f"iter0_delta_{index}", first[f"offset {layer}"]))
            expected.check_all(offset_summary(f"delta_{index}", inversion.offsets[layer]))
    expected.check_all(batch_summary("image", method.edit(inversion)))
    delta = torch.from_numpy(fill("edit_direction", (method.latent_rows, 512), ["normal", 0.3]))
    expected.check_all(batch_summary("edit_image", method.edit(inversion, delta)))
    assert not expected.unchecked()
