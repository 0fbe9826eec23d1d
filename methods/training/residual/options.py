"""What a recipe of the task "residual" can switch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from bench.core.errors import UsageError
from bench.core.schema import Bounds
from bench.world.splits import SPLITS
from methods.training.bases import BaseName
from methods.training.bounds import Count, Factor, Share, Weight, check_alpha


@dataclass(frozen=True)
class Weights:
    """Weights of the first pass; 0 leaves a term out. Reconstruction terms on samples without an edit, w-consistency on
    edited ones, the rest on all.
    """

    l2: Weight = 1.0
    perceptual: Weight = 0.02
    identity: Weight = 0.1
    adversarial: Weight = 0.03
    regulariser: Weight = 0.1
    flow: Weight = 0.0
    flow_moving: Weight = 0.0
    w_consistency: Weight = 0.0


@dataclass(frozen=True)
class CycleWeights:
    """Weights of the second pass, on edited samples."""

    l2: Weight = 0.0
    perceptual: Weight = 0.002
    identity: Weight = 0.01


@dataclass(frozen=True)
class Options:
    """What a recipe can switch.

    Attributes:
        model: What is trained.
        base: The frozen base encoder E_0.
        train: "all", or "flow" for adapters and flow head alone, by the flow's losses.
        start: File of an earlier training whose E_1 and E_2 this one starts from.
        flow_start: File whose flow this one starts from: a trained flow with its adapters, or the teacher's head.
        flow_source: "features", or "pictures" for the ablation with the teacher's own frozen network on images.
        edited: Share of a batch that is edited; 0 is the no-edit phase.
        alpha: How far a simulated edit goes towards a random code, from and to.
        along_smile: Share of the edits that follow the smile direction instead, either way up to `smile_strength`.
        cycle_grad: Whether gradients of the second pass go through x'_i ("through") or stop there ("detach").
        adversarial_every, cycle_every, discriminator_every: Steps between two steps with that term, which then weighs
            as many times more.
        r1_every: Steps of the discriminator between two penalties.
        discriminator_rate_factor, flow_rate_factor: Of the recipe's rate.
        clip: Bound of the gradient's length; 0 for none.
        figures: Validation people of the held-out figures.
    """

    model: Literal["styleres", "warpres"]
    base: BaseName = "e4e"
    train: Literal["all", "flow"] = "all"
    start: str = ""
    flow_start: str = ""
    flow_source: Literal["features", "pictures"] = "features"
    edited: Share = 0.5
    alpha: tuple[Share, Share] = (0.4, 0.5)
    along_smile: Share = 0.0
    smile_strength: Weight = 4.0
    cycle_grad: Literal["detach", "through"] = "detach"
    adversarial_every: Count = 2
    cycle_every: Count = 2
    discriminator_every: Count = 4
    r1_every: Count = 8
    r1_gamma: Weight = 1.0
    discriminator_rate_factor: Factor = 0.5
    flow_rate_factor: Factor = 1.0
    clip: Weight = 5.0
    figures: Annotated[int, Bounds(4, SPLITS["val"][0])] = 48
    weights: Weights = field(default_factory=Weights)
    cycle: CycleWeights = field(default_factory=CycleWeights)

    @property
    def files(self) -> tuple[str, ...]:
        """Files of other recipes that are named here."""
        return f"{self.base}.safetensors", self.start, self.flow_start

    def __post_init__(self) -> None:
        check_alpha(self.alpha)
        flow_loss = self.weights.flow > 0 or self.weights.flow_moving > 0
        if self.model == "styleres" and (
            flow_loss or self.flow_start or self.flow_source == "pictures" or self.train == "flow"
        ):
            raise UsageError("model = styleres has no flow", 'model = "warpres", or nothing that is of the flow')
        if self.flow_source == "pictures" and (flow_loss or not self.flow_start or self.train == "flow"):
            raise UsageError(
                "flow_source = pictures takes a teacher's flow as it is: there is no flow loss",
                'flow_start = "teacher.safetensors", weights.flow = 0 and weights.flow_moving = 0',
            )
        if self.train == "flow" and not flow_loss:
            raise UsageError("train = flow learns by weights.flow and weights.flow_moving, and both are 0", "set one")
