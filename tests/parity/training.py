"""Comparing a training step with the goldens of the group's: terms, gradients by norm and probe, image gradients."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests import filling
from tests.parity.comparison import pooled, windows
from tests.parity.goldens import golden


@dataclass
class TrainingGolden:
    """One golden under `data/training`; every check adds to `seen`, and `unseen` names the arrays left."""

    name: str
    seen: set[str] = field(default_factory=set)

    def __getitem__(self, key: str) -> np.ndarray:
        self.seen.add(key)
        return golden(self.name, folder="training")[0][key]

    def unseen(self) -> set[str]:
        return golden(self.name, folder="training")[0].keys() - self.seen

    def close(self, key: str, actual: Any, *, rtol: float = 1e-4, atol: float = 0.0) -> None:
        """Every element within atol + rtol |expected|."""
        values = actual.detach().cpu().numpy() if isinstance(actual, Tensor) else np.asarray(actual)
        np.testing.assert_allclose(values, self[key].reshape(values.shape), rtol=rtol, atol=atol, err_msg=key)

    def near(self, key: str, actual: Tensor, share: float) -> None:
        """The largest difference within a share of the largest expected value."""
        expected = self[key]
        assert tuple(actual.shape) == expected.shape, key
        difference = np.abs(actual.detach().cpu().numpy() - expected).max()
        assert difference <= share * np.abs(expected).max(), (key, difference)

    def parameter_gradients(
        self, key: str, gradients: dict[str, Tensor], names: str, *, norm: float, probe: float, floor: float = 0.0
    ) -> None:
        """`key`_norm (relative) and `key`_probe (share of the norm), tensor by tensor in the order of array `names`.

        `floor` is what a norm may be off by absolutely, for tensors that hardly have a gradient.
        """
        norms, probes = self[f"{key}_norm"], self[f"{key}_probe"]
        for index, name in enumerate(self[names]):
            gradient = gradients[str(name)].double()
            found, expected = float(gradient.norm()), float(norms[index])
            assert abs(found - expected) <= norm * expected + floor, (key, name, found, expected)
            direction = torch.from_numpy(
                filling.fill(f"{name}_probe", tuple(gradient.shape), ["normal", 1.0]).astype(np.float64)
            )
            off = abs(float((gradient * direction).sum()) - float(probes[index]))
            assert off <= probe * expected + floor, (key, name, off, expected)

    def norm_of_all(self, key: str, gradients: dict[str, Tensor], rtol: float) -> None:
        self.close(key, np.sqrt(sum(float(g.double().square().sum()) for g in gradients.values())), rtol=rtol)

    def image_gradient(
        self, key: str, gradient: Tensor, *, norm: float, probe: float, window: float | None = None
    ) -> None:
        """`key`_norm and _probe a sample, and with `window` the relative L2 of `key`_pool and _crop."""
        norms = self[f"{key}_norm"]
        self.close(f"{key}_norm", gradient.double().flatten(1).norm(dim=1), rtol=norm, atol=1e-12)
        shape = tuple(gradient.shape)
        direction = torch.from_numpy(filling.fill(f"{key}_probe", shape, ["normal", 1.0]).astype(np.float64))
        off = np.abs((gradient.double() * direction).flatten(1).sum(1).numpy() - self[f"{key}_probe"])
        assert (off <= probe * norms + 1e-12).all(), (key, off, norms)
        if window is not None:
            for part, values in (("pool", pooled(gradient)), ("crop", windows(gradient))):
                expected = self[f"{key}_{part}"]
                error = np.linalg.norm(values.numpy() - expected) / np.linalg.norm(expected)
                assert error <= window, (key, part, error)
