"""Running any method in bfloat16 where the machine is faster in it; never the default, because the numbers move."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor

from bench.contract import Inversion, Method


class Autocast:
    """A method whose `invert` and `edit` run under autocast; codes and pictures come back as float32.

    Its digest differs from the method's own, so that rows of the two never mix.
    """

    def __init__(self, method: Method, dtype: torch.dtype = torch.bfloat16) -> None:
        self.method, self.dtype = method, dtype
        self.name, self.domain, self.stages = method.name, method.domain, method.stages
        self.input_size, self.output_size = method.input_size, method.output_size
        self.latent_rows = method.latent_rows
        self.digest = f"{getattr(method, 'digest', '')}+{str(dtype).removeprefix('torch.')}"

    def invert(self, images: Tensor) -> Inversion:
        """Invert float32 (N, 3, h, w) in [-1, 1]."""
        with torch.autocast(images.device.type, self.dtype):
            inversion = self.method.invert(images)
        return replace(inversion, **{f.name: _float(getattr(inversion, f.name)) for f in fields(inversion)})

    def edit(self, inversion: Inversion, delta: Tensor | None = None) -> Tensor:
        """Generate float32 (N, 3, H, W)."""
        with torch.autocast(inversion.codes.device.type, self.dtype):
            return self.method.edit(inversion, delta).float()

    def deviation(self, images: Tensor) -> tuple[float, float]:
        """Largest and mean absolute difference of the reconstruction from the method's own, in the [-1, 1] scale."""
        difference = (self.edit(self.invert(images)) - self.method.edit(self.method.invert(images))).abs()
        return float(difference.max()), float(difference.mean())


def _float(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.float() if value.is_floating_point() else value
    if isinstance(value, dict):
        return {key: _float(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_float(item) for item in value)
    return value
