"""The loss terms of a residual step, each weighted and with a gradient ("warpres" card 4, paper Eq. 4-9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from methods.nets.flow.network import FlowNet, normalise
from methods.styleres.pipeline import Rendered
from methods.training import losses
from methods.training.frozen import FastCritics, FastDiscriminator
from methods.training.paths import Passes, Stand
from methods.training.processes import Processes
from methods.training.residual.options import Options
from methods.warpres.network import WarpRes

Terms = dict[str, Tensor]


@dataclass(frozen=True)
class Real:
    """The batch's own images in the order of the targets, and what the critics see in them where it is needed.

    Attributes:
        images: (N, 3, S, S); without an edit first.
        still, edited: How many are which.
        features: Of all that the step compares: of the first `still` samples, or of all.
        identity: Likewise.
    """

    images: Tensor
    still: int
    edited: int
    features: Sequence[Tensor]
    identity: Tensor | None

    @staticmethod
    @torch.no_grad()
    def of(images: Tensor, edited: int, critics: FastCritics, options: Options, *, cycle: bool) -> Real:
        """Show the critics what the step's weights ask for; of the edited samples only in a step with a `cycle`.

        Args:
            images: (N, 3, S, S) in [-1, 1], the `edited` ones last.
        """
        still = len(images) - edited
        count = len(images) if cycle else still
        perceptual = options.weights.perceptual or (cycle and options.cycle.perceptual)
        identity = options.weights.identity or (cycle and options.cycle.identity)
        return Real(
            images,
            still,
            edited,
            critics.features(images[:count]) if perceptual and count else (),
            critics.embed(images[:count]) if identity and count else None,
        )


def reconstruction_terms(real: Real, made: Tensor, critics: FastCritics, options: Options) -> Terms:
    """Eq. 4-6 on the samples without an edit; `made` (still, 3, S, S)."""
    weights, terms = options.weights, {}
    if not len(made):
        return {}
    if weights.l2:
        terms["l2"] = weights.l2 * losses.pixel_loss(made, real.images[: real.still]).mean()
    if weights.perceptual:
        wanted = [map_[: real.still] for map_ in real.features]
        terms["perceptual"] = weights.perceptual * losses.perceptual_loss(critics.features(made), wanted).mean()
    if weights.identity:
        assert real.identity is not None
        similar = losses.identity_loss(critics.embed(made), real.identity[: real.still])
        terms["identity"] = weights.identity * similar.mean()
    return terms


def cycle_terms(real: Real, again: Tensor, critics: FastCritics, options: Options) -> Terms:
    """Eq. 4-6 on x'' (edited, 3, S, S), times the steps between two of them."""
    weights, factor, terms = options.cycle, options.cycle_every, {}
    if weights.l2:
        terms["cycle_l2"] = weights.l2 * factor * losses.pixel_loss(again, real.images[real.still :]).mean()
    if weights.perceptual:
        wanted = [map_[real.still :] for map_ in real.features]
        distance = losses.perceptual_loss(critics.features(again), wanted).mean()
        terms["cycle_perceptual"] = weights.perceptual * factor * distance
    if weights.identity:
        assert real.identity is not None
        similar = losses.identity_loss(critics.embed(again), real.identity[real.still :])
        terms["cycle_identity"] = weights.identity * factor * similar.mean()
    return terms


def adversarial_term(made: Tensor, adversary: FastDiscriminator, options: Options) -> Tensor:
    """Eq. 7 for E_1, E_2 and the flow, on all first-pass images."""
    factor = options.weights.adversarial * options.adversarial_every
    return factor * losses.generator_adversarial(adversary(made)).mean()


def regulariser_term(rendered: Rendered, options: Options) -> Tensor:
    """Eq. 8 on all samples."""
    return options.weights.regulariser * losses.regulariser(rendered.addition.float()).mean()


@torch.no_grad()
def teacher_cells(teacher: FlowNet, passes: Passes, stand: Stand, edited: int) -> Tensor:
    """The teacher's flow between the edited samples' images without residuals, in cells (edited, 2, r, r)."""
    assert isinstance(passes.model, WarpRes)
    count = len(stand.state.x) - edited
    target = passes.plain(stand.rows(slice(count, None))).clamp(-1, 1)
    source = passes.plain(stand.rows(slice(0, edited))).clamp(-1, 1)
    return passes.model.cells(teacher(normalise(target), normalise(source)).flow1)


def flow_terms(cells: Tensor, taught: Tensor, options: Options, processes: Processes) -> Terms:
    """L_flow on all samples, zero where nothing was edited; and the moving cells' own term (not in the paper).

    Args:
        cells: (N, 2, r, r) of the targets.
        taught: The teacher's (E, 2, r, r) of the last E.
    """
    still = len(cells) - len(taught)
    terms: Terms = {}
    if options.weights.flow:
        wanted = torch.cat((torch.zeros_like(cells[:still]), taught))
        terms["flow"] = options.weights.flow * losses.flow_loss(cells, wanted).mean()
    if options.weights.flow_moving and len(taught):
        error, moving = losses.moving_flow_loss(cells[still:], taught)
        mean = error * processes.count / processes.total(moving.float()).clamp_min(1.0)
        terms["flow_moving"] = options.weights.flow_moving * mean
    return terms


def gradient_shares(terms: Mapping[str, Tensor], addition: Tensor) -> dict[str, Tensor]:
    """Length of each term's gradient at F, as a share of all their lengths; terms that do not reach F are left out."""
    lengths = {}
    for name, term in terms.items():
        (gradient,) = torch.autograd.grad(term, addition, retain_graph=True, allow_unused=True)
        if gradient is not None:
            lengths[name] = gradient.float().norm()
    if not lengths:
        return {}
    total = torch.stack(list(lengths.values())).sum().clamp_min(1e-20)
    return {f"gradient/{name}": length / total for name, length in lengths.items()}
