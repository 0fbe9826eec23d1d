"""The two training paths of StyleRes and WarpRes: a simulated edit, and the cycle back ("warpres" card 4, paper Eq. 2).

Generation, base encoder and critics are frozen; gradients reach E_1, E_2 and, in WarpRes, the flow.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from methods.nets.pyramid import PyramidEncoder
from methods.nets.stylegan2 import Generator
from methods.styleres.pipeline import Prepared, Rendered, StyleRes


@dataclass(frozen=True)
class SimulatedEdit:
    """delta (N, L, D) = alpha (W_r - W), zero where `edited` (N,) is False."""

    delta: Tensor
    edited: Tensor


@dataclass(frozen=True)
class Base:
    """The frozen base: E_0, its mean w (D,), and the generator."""

    encoder: PyramidEncoder
    average: Tensor
    generator: Generator

    @torch.no_grad()
    def encode(self, images: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Codes W (N, L, D) with the mean, and the backbone's taps; never with a gradient."""
        codes, taps = self.encoder.encode(images)
        return codes + self.average, taps


def simulate_edit(
    base: Base, codes: Tensor, random: torch.Generator, *, share: float = 0.5, alpha: tuple[float, float] = (0.4, 0.5)
) -> SimulatedEdit:
    """Random edits of codes (N, L, D), each sample with probability `share`; one w_r for all rows, truncation 1."""
    count, _, dim = codes.shape
    towards = base.generator.mapping(torch.randn(count, dim, generator=random))
    amount = alpha[0] + (alpha[1] - alpha[0]) * torch.rand(count, generator=random)
    edited = torch.rand(count, generator=random) < share
    scale = (amount * edited)[:, None, None]
    return SimulatedEdit((scale * (towards[:, None] - codes)).detach(), edited)


def first_pass(
    model: StyleRes, base: Base, codes: Tensor, taps: tuple[Tensor, ...], edit: SimulatedEdit
) -> tuple[Prepared, Rendered]:
    """x' (where not edited) and x'_i (where edited), with what it was made from."""
    prepared = model.prepare(base.generator, codes, taps[model.config.base_tap])
    return prepared, model.render(base.generator, prepared, codes + edit.delta)


def cycle_pass(model: StyleRes, base: Base, made: Tensor, edit: SimulatedEdit) -> Rendered:
    """x'': encode the first pass's image without gradient and take the same edit back (W'' = W' - delta)."""
    codes, taps = base.encode(made.detach())
    prepared = model.prepare(base.generator, codes, taps[model.config.base_tap])
    return model.render(base.generator, prepared, codes - edit.delta)
