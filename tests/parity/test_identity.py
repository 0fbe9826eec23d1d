"""The identity networks compute what the authors' compute: CurricularFace IR-101 and ArcFace IR-SE-50."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.weights.load import load_strict
from methods.nets.irse import IR_101, IRSEConfig, IRSEEmbedder
from tests import filling
from tests.parity.comparison import channel_groups
from tests.parity.goldens import golden

pytestmark = pytest.mark.parity


def summary(name: str, x: Tensor) -> dict[str, Tensor]:
    return {
        f"{name}_pool": F.adaptive_avg_pool2d(channel_groups(x, 32), 16),
        f"{name}_mean": x.mean((2, 3)),
        f"{name}_std": x.std((1, 2, 3), unbiased=False),
    }


@pytest.mark.parametrize(
    ("name", "config", "affine"), [("curricularface", IR_101, False), ("arcface_irse50", IRSEConfig(), True)]
)
def test_embeddings(name: str, config: IRSEConfig, affine: bool, comparison: Callable[..., Any]) -> None:
    expected = comparison(name, method="identity")
    # The networks' own bound; the arrays inside them are compared with the rule of the meta below.
    expected.atol, expected.scale = 1e-4, "rms"
    network = IRSEEmbedder(config, affine=affine)
    load_strict(network, filling.tensors(name), name)
    network.eval().requires_grad_(False)
    images = filling.golden_image(0, 4, 112)
    x = network.input_layer(images)
    expected.check_all(summary("stem", x))
    for index, unit in enumerate(network.body):
        x = unit(x)
        if f"block{index}_pool" in golden(name)[0]:
            expected.check_all(summary(f"block{index}", x))
    expected.check_all(summary("body", x))
    expected.check("pre_norm", network.output_layer(x))
    embedding = network(images)
    expected.atol = 1e-5
    expected.check("embedding", embedding)
    expected.check("similarity", embedding @ embedding.T)
    if name == "arcface_irse50":
        crops = F.adaptive_avg_pool2d(filling.golden_image(0, 2, 256)[:, :, 35:223, 32:220], 112)
        expected.check("idloss_input", crops[:, :, 40:72, 40:72])
        expected.check("idloss_embedding", network(crops))
    torch.testing.assert_close(embedding.norm(dim=1), torch.ones(4))
