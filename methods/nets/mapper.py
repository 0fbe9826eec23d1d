"""StyleCLIP's latent mapper: a W+ step that depends on the codes (edits card, section 1).

The rows fall into three groups, each with a small network of its own or none; groups do not see each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from methods.nets.stylegan2.layers import EqualLinear

Group = Literal["course", "medium", "fine"]
# "course" is the authors' spelling. Last row + 1 of each group; None: to the end (18 rows: 8..17).
GROUPS: dict[Group, tuple[int, int | None]] = {"course": (0, 4), "medium": (4, 8), "fine": (8, None)}


class GroupMapper(nn.Module):
    """The network of one group of rows: codes (N, rows, D) -> step (N, rows, D).

    The norm runs over the group's ROWS, each feature by itself, not over the features: the shared pixel norm reduces
    axis 1, and here that axis holds rows. Every released file was trained so.
    """

    def __init__(self, width: int = 512, layers: int = 4) -> None:
        super().__init__()
        self.mapping = nn.ModuleDict(
            {str(number): EqualLinear(width, width, lr_mul=0.01, act=True) for number in range(1, layers + 1)}
        )

    @staticmethod
    def norm(codes: Tensor) -> Tensor:
        """Codes over the root mean square of their rows, feature by feature."""
        return codes * torch.rsqrt(codes.square().mean(1, keepdim=True) + 1e-8)

    def forward(self, codes: Tensor) -> Tensor:
        """The normalised codes through all layers, each with its leaky ReLU."""
        step = self.norm(codes)
        # The last layer keeps its activation and gain: the step has a long positive and a short negative tail.
        for layer in self.mapping.values():
            step = layer(step)
        return step


class LatentMapper(nn.Module):
    """The mapper M: codes (N, L, D), W+ including latent_avg -> step (N, L, D) before any strength.

    Rows of a group without a network get a step of exactly 0. Tensor names are those of StyleRes' slim files
    ("course_mapping.mapping.1.weight").

    Args:
        groups: Which groups have a network, at least one.
        width: D, 512 in every released mapper.
    """

    def __init__(self, groups: Sequence[Group] = ("course", "medium", "fine"), width: int = 512) -> None:
        super().__init__()
        self.groups = tuple(group for group in GROUPS if group in groups)
        for group in self.groups:
            self.add_module(f"{group}_mapping", GroupMapper(width))

    def forward(self, codes: Tensor) -> Tensor:
        """Each group's rows of the step are made of the same rows of the codes."""
        step = torch.zeros_like(codes)
        for group in self.groups:
            first, end = GROUPS[group]
            step[:, first:end] = self.get_submodule(f"{group}_mapping")(codes[:, first:end])
        return step
