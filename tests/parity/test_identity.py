"""The identity networks compute what the authors' compute: CurricularFace IR-101 and ArcFace IR-SE-50."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from methods.nets.irse import IRSEEmbedder
from metrics.identity.networks import LOADERS
from tests import filling
from tests.parity.comparison import channel_groups
from tests.parity.goldens import golden

pytestmark = pytest.mark.parity


def summary(name: str, x: Tensor) -> dict[str, Tensor]:
    return {
        f"{name}_pool": F.adaptive_avg_pool2d(channel_groups(x, 32), 16),
        f"{name}_mean": x.mean((2, 3)),
        f"{name}_std": x.std((1, 2, 3), unbiased=False),
        f"{name}_shape": torch.tensor(x.shape),
    }


@pytest.mark.parametrize(
    ("name", "loader"), [("curricularface", "curricularface"), ("arcface_irse50", "arcface-irse50")]
)
def test_embeddings(name: str, loader: str, filled: Callable[..., Any], comparison: Callable[..., Any]) -> None:
    expected = comparison(name, method="identity")
    with filled(name) as (path,):
        network: IRSEEmbedder = LOADERS[loader](path)
    images = filling.golden_image(0, 4, 112)
    x = network.input_layer(images)
    expected.check_all(summary("stem", x))
    for index, unit in enumerate(network.body):
        x = unit(x)
        if f"block{index}_pool" in golden(name)[0]:
            expected.check_all(summary(f"block{index}", x))
    expected.check_all(summary("body", x))
    expected.check("pre_norm", network.output_layer(x))
    # What the metric uses has a bound of its own: 1e-5, as the golden's meta says.
    embedding = network(images)
    expected.check("embedding", embedding, atol=1e-5)
    expected.check("similarity", embedding @ embedding.T, atol=1e-5)
    if name == "arcface_irse50":
        crops = F.adaptive_avg_pool2d(filling.golden_image(0, 2, 256)[:, :, 35:223, 32:220], 112)
        expected.check("idloss_input", crops[:, :, 40:72, 40:72], atol=1e-5)
        expected.check("idloss_embedding", network(crops), atol=1e-5)
    torch.testing.assert_close(embedding.norm(dim=1), torch.ones(4))
    assert not expected.unchecked()
