"""Counting multiply-accumulates and measuring the machine's peak: efficiency = MACs / time / peak."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

_CONVOLUTION = torch.ops.aten.convolution.default
_MATRIX = {torch.ops.aten.mm.default, torch.ops.aten.bmm.default, torch.ops.aten.addmm.default}


class MacCounter(TorchDispatchMode):
    """Counts the multiply-accumulates of convolutions and matrix products that run inside.

    Depthwise convolutions (FIR filters) are left out of `total`, which makes an efficiency a little lower than a count with
    them would: they are the bookkeeping of a resampling. They are in `filters`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0
        self.filters = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is _CONVOLUTION:
            self._convolution(args, result)
        elif func in _MATRIX:
            left, right = args[-2:]
            self.total += left.numel() * right.shape[-1]
        return result

    def _convolution(self, args: tuple[Any, ...], result: Tensor) -> None:
        x, weight, transposed, groups = args[0], args[1], args[6], args[8]
        # Every pixel of the input meets the whole kernel in a transposed convolution, of the output in a plain one.
        pixels = x[0, 0].numel() * len(x) if transposed else result[0, 0].numel() * len(result)
        macs = weight.numel() * pixels
        if groups > 1 and groups == weight.shape[0]:
            self.filters += macs
        else:
            self.total += macs


def count_macs(run: Callable[[], Any]) -> int:
    """Multiply-accumulates of `run()`."""
    with torch.no_grad(), MacCounter() as counter:
        run()
    return counter.total


def convolution_peak(repeats: int = 5) -> float:
    """The machine's fp32 convolution rate right now, in MAC/s: 512 -> 512, 3x3, 64 x 64, batch 1, best of `repeats`."""
    weight, x = torch.randn(512, 512, 3, 3), torch.randn(1, 512, 64, 64)
    seconds = []
    with torch.no_grad():
        for _ in range(repeats + 1):
            start = time.perf_counter()
            F.conv2d(x, weight, padding=1)
            seconds.append(time.perf_counter() - start)
    return weight.numel() * 64 * 64 / min(seconds[1:])
