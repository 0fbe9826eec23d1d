"""Counting multiply-accumulates."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from methods.nets.irse import IRSE
from methods.nets.macs import MacCounter, count_macs
from methods.nets.stylegan2 import Generator


def test_convolutions_and_products() -> None:
    x = torch.randn(2, 4, 8, 8)
    assert count_macs(lambda: F.conv2d(x, torch.randn(6, 4, 3, 3), padding=1)) == 2 * 64 * 4 * 6 * 9
    assert count_macs(lambda: F.conv2d(x, torch.randn(6, 4, 3, 3), stride=2, padding=1)) == 2 * 16 * 4 * 6 * 9
    assert count_macs(lambda: F.conv_transpose2d(x, torch.randn(4, 6, 3, 3), stride=2)) == 2 * 64 * 4 * 6 * 9
    assert count_macs(lambda: F.conv2d(x, torch.randn(4, 1, 4, 4), groups=4)) == 0
    linear = nn.Linear(5, 7)
    assert count_macs(lambda: linear(torch.randn(3, 5))) == 3 * 5 * 7


def test_published_counts() -> None:
    with torch.device("meta"):
        generator, backbone = Generator(), IRSE()
        codes, picture = torch.empty(1, 18, 512), torch.empty(1, 3, 256, 256)
        with torch.no_grad(), MacCounter() as counter:
            generator(codes)
        assert abs((counter.total + counter.filters) / 1e9 - 75.4) < 0.1
        assert 1.0 < counter.filters / 1e9 < 1.2
        assert abs(count_macs(lambda: backbone.eval()(picture)) / 1e9 - 32.8) < 0.1
