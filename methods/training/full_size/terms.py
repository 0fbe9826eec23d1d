"""The losses of an iteration, each differentiated with respect to the image it is on ("training_step" card 3).

That frees a loss network's activations at once and shows how the losses share the gradient; the generator is then gone
through backwards once, with the sum.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from methods.training import losses
from methods.training.full_size.options import CycleWeights, Weights
from methods.training.loss_networks import LossNetworks, feature_loss
from methods.training.processes import Processes


@dataclass
class Terms:
    """Weighted losses on images.

    Attributes:
        image: The images (n, 3, h, w) as a leaf.
        gradient: Of the losses' sum with respect to it.
        values: Detached, by name.
        norms: Of each one's gradient, by name.
    """

    image: Tensor
    gradient: Tensor
    values: dict[str, Tensor] = field(default_factory=dict)
    norms: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def on(cls, made: Tensor) -> Terms:
        """No losses yet on images (n, 3, h, w)."""
        image = made.detach().requires_grad_(True)
        return cls(image, torch.zeros_like(image))

    def add(self, name: str, value: Tensor) -> None:
        """Add a weighted scalar made of `picture`."""
        (gradient,) = torch.autograd.grad(value, self.image)
        self.values[name], self.norms[name] = value.detach(), gradient.norm()
        self.gradient += gradient


class Reference:
    """Real images (N, 3, h, w) and what Phi and A see in them, computed once for both passes."""

    def __init__(self, networks: LossNetworks, real: Tensor, processes: Processes) -> None:
        self.networks, self.real, self.processes = networks, real, processes
        with torch.no_grad():
            self.features, self.identity = networks.features(real), networks.embed(real)

    def terms(self, made: Tensor, rows: Tensor, weights: Weights | CycleWeights, prefix: str = "") -> Terms:
        """Reconstruction terms, means over the selected samples; none where no process has any.

        Args:
            made: Images (n, 3, h, w) of the selected samples alone.
            rows: (n,) which of the batch they are.
            prefix: Of the terms' names ("cycle_").
        """
        # Over all processes' selected samples: averaged gradients are then those of one process.
        total = self.processes.total(torch.tensor(float(len(rows)), device=made.device))
        terms = Terms.on(made)
        if not total:
            return terms
        if not len(rows):
            # Others have some: the processes' losses go by the same names.
            for term in ("l2", "perceptual", "identity"):
                if getattr(weights, term):
                    terms.values[prefix + term] = terms.norms[prefix + term] = torch.zeros_like(total)
            return terms
        share = self.processes.count / total
        if weights.l2:
            value = losses.pixel_loss(terms.image, self.real[rows]).sum()
            terms.add(f"{prefix}l2", weights.l2 * share * value)
        if weights.perceptual:
            wanted = [map_[rows] for map_ in self.features]
            value = feature_loss(self.networks.features(terms.image), wanted).sum()
            terms.add(f"{prefix}perceptual", weights.perceptual * share * value)
        if weights.identity:
            value = losses.identity_loss(self.networks.embed(terms.image), self.identity[rows]).sum()
            terms.add(f"{prefix}identity", weights.identity * share * value)
        return terms
