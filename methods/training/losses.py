"""The losses of the paper's Eq. 4-8 and of the encoders, as pure functions ("warpres" card 4, "e4e" card 11).

Norms are means over all elements (squares for L2, absolute values for L1), as the group's training code has them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.core.errors import UsageError
from bench.world.networks import WorldNet


@dataclass(frozen=True)
class Critics:
    """Frozen networks of the perceptual and identity losses (Phi and A of the paper), for the world's images."""

    describer: WorldNet
    embedder: WorldNet

    def features(self, images: Tensor) -> list[Tensor]:
        """Feature maps of several layers, each of unit length per position (as LPIPS compares them)."""
        return [F.normalize(map_, dim=1) for map_ in self.describer.maps(images)]

    def embed(self, images: Tensor) -> Tensor:
        """Unit embeddings (N, E) of images float32 (N, 3, 64, 64) in [-1, 1]."""
        return F.normalize(self.embedder(images), dim=1)


def total(terms: Mapping[str, Tensor]) -> Tensor:
    """The sum of a step's weighted losses, a scalar each. Raises UsageError where there is none."""
    if not terms:
        raise UsageError("in this step no loss has a weight", "--set weights.l2=1, or another one")
    return torch.stack(list(terms.values())).sum()


def pixel_loss(made: Tensor, real: Tensor) -> Tensor:
    """L_rec-l2 (Eq. 4): mean square of the difference, per sample (N,)."""
    return (made - real).square().mean((1, 2, 3))


def perceptual_loss(made: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """L_rec-p (Eq. 5): mean square of feature differences summed over channels and layers, per sample (N,)."""
    return torch.stack([(m - r).square().sum(1).mean((1, 2)) for m, r in zip(made, real, strict=True)]).sum(0)


def identity_loss(made: Tensor, real: Tensor) -> Tensor:
    """L_rec-id (Eq. 6): 1 - cosine of unit embeddings (N, D), per sample (N,)."""
    return 1 - (made * real).sum(1)


def generator_adversarial(logits: Tensor) -> Tensor:
    """Non-saturating L_adv of Eq. 7 for what fools the discriminator, per sample (N,)."""
    return F.softplus(-logits).squeeze(1)


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Logistic loss of Eq. 7 for the discriminator, scalar."""
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


def r1_penalty(discriminator: Callable[[Tensor], Tensor], real: Tensor, gamma: float) -> Tensor:
    """gamma / 2 times the squared gradient of the logits at real images, mean over samples."""
    real = real.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)
    return gamma / 2 * gradient.square().flatten(1).sum(1).mean()


def regulariser(addition: Tensor) -> Tensor:
    """L_F (Eq. 8): mean absolute value of E_2's addition, per sample (N,)."""
    return addition.abs().mean((1, 2, 3))


def flow_loss(cells: Tensor, target: Tensor) -> Tensor:
    """L_flow: mean absolute difference of flows in cells, per sample (N,)."""
    return (cells - target).abs().mean((1, 2, 3))


def moving_flow_loss(cells: Tensor, target: Tensor, least: float = 0.15) -> tuple[Tensor, Tensor]:
    """What a plain mean drowns: the error where the target moves by more than `least` cells. Not in the paper.

    Returns:
        Sum over all moving cells of the mean absolute difference of both channels, and their number.
    """
    moving = target.square().sum(1) > least**2
    return ((cells - target).abs().mean(1) * moving).sum(), moving.sum()


def w_consistency_loss(made: Tensor, wanted: Tensor, length: Tensor) -> Tensor:
    """w-consistency: squared distance of an edited image's codes E_0(x'_i) to those asked for, W + delta, in units of
    `length`; per sample (N,). Not in the paper: it keeps E_2 from undoing edits.

    Args:
        made, wanted: (N, L, D).
        length: Mean squared length of the batch's edits, a scalar. In units of its own length an edit of almost
            nothing would weigh more than all others together.
    """
    return (made - wanted).square().sum((1, 2)) / length
