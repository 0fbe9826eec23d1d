"""The moving average of a training's weights: what is checked and exported in the place of the last step's weights.

With small batches every step's weights are noisy, and their average is less so, without more images; StyleGAN's
generators are averaged in the same way. What is trained goes on untouched beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class Average:
    """An exponential moving average of modules' floating-point weights and statistics.

    Args:
        modules: What is averaged, by name; the average begins at what they hold.
        decay: Share of the average that stays at a step, in (0, 1); 0 for no average at all.
    """

    def __init__(self, modules: Mapping[str, nn.Module], decay: float) -> None:
        self._modules, self._decay = modules, decay
        self._mean = {name: tensor.clone() for name, tensor in self._live().items()} if decay else {}

    @classmethod
    def of(cls, modules: Mapping[str, nn.Module], images: int, batch: int) -> Average:
        """The average whose half-life is so many images; of none, no average."""
        return cls(modules, 0.5 ** (batch / images) if images else 0.0)

    def _live(self) -> dict[str, Tensor]:
        return {
            f"{name}.{key}": tensor
            for name, module in self._modules.items()
            for key, tensor in module.state_dict().items()
            if tensor.is_floating_point()
        }

    @torch.no_grad()
    def update(self) -> None:
        """Take in a step's weights."""
        if self._mean:
            live = self._live()
            get_ema_multi_avg_fn(self._decay)(list(self._mean.values()), [live[name] for name in self._mean], None)

    @contextmanager
    def used(self) -> Iterator[None]:
        """The modules hold the average inside, and what is trained again after it."""
        live = {name: tensor for name, tensor in self._live().items() if name in self._mean}
        kept = {name: tensor.clone() for name, tensor in live.items()}
        _copy(self._mean, live)
        try:
            yield
        finally:
            _copy(kept, live)

    def state_dict(self) -> dict[str, Tensor]:
        """The averaged tensors, by module and name; empty where there is no average."""
        return dict(self._mean)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a checkpoint's average; from one that had none, it begins at the modules' weights."""
        _copy(state or self._live(), self._mean)


@torch.no_grad()
def _copy(source: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> None:
    for name, tensor in target.items():
        tensor.copy_(source[name])
