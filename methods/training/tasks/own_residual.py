"""StyleRes and WarpRes over an e4e of one's own, with the paper's two passes and losses ("warpres" card 4).

The full-size task on networks of other sizes: whatever has no released counterpart for the domain (a face network, a
discriminator, a flow teacher) is left out, begins from scratch, or is named by an option.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import torch

from bench.core.checkpoint import file_digest, load_strict, read_checkpoint, write_safetensors
from bench.core.errors import MissingError, UsageError
from bench.core.schema import from_table
from bench.weights.registry import locate
from methods.nets.configs import to_dict
from methods.nets.flow.network import FlowNet
from methods.nets.stylegan2 import Discriminator
from methods.registry import Checkpoint, load_method
from methods.styleres.adapter import Base
from methods.styleres.pipeline import StyleRes
from methods.training.bounds import Count, CountOrNone, Share, Weight, check_groups
from methods.training.full_size.networks import Networks
from methods.training.full_size.options import CycleWeights, Weights
from methods.training.full_size.options import Options as FullSizeOptions
from methods.training.loss_networks import LossNetworks
from methods.training.own.networks import Identity, Perceptual, check_used, identity_network, perceptual_network
from methods.training.own.sizes import discriminator_config, flow_config, has_released_flow, residual_config
from methods.training.recipe import Recipe
from methods.training.task import Context
from methods.training.tasks.full_size import FullSizeTask
from methods.training.world import prefixed
from methods.warpres.adapter import load_flow_net
from methods.warpres.network import WarpRes


@dataclass(frozen=True)
class Options:
    """Options of the task; those of the same name are the full-size task's.

    Attributes:
        base_file: The e4e that `own/e4e` wrote; by default the one beside this training.
        width: Channels of E_1 and E_2.
        perceptual_network, identity_network: "vgg16" and "moco", released for any image, or "none".
    """

    model: Literal["styleres", "warpres"]
    base_file: str = ""
    width: Count = 128
    perceptual_network: Perceptual = "none"
    identity_network: Identity = "none"
    alpha: tuple[Share, Share] = (0.4, 0.5)
    edit_share: Share = 0.5
    cycle_on: Literal["all", "edited"] = "edited"
    r1_gamma: Weight = 1.0
    r1_every: Count = 16
    mirror: bool = True
    held_out: CountOrNone = 64
    workers: Count = 2
    weights: Weights = field(default_factory=lambda: Weights(1.0, 0.0, 0.0, 0.03, 0.1, 0.0))
    cycle: CycleWeights = field(default_factory=lambda: CycleWeights(0.1, 0.0, 0.0))

    def __post_init__(self) -> None:
        for name in ("perceptual", "identity"):
            asked = getattr(self.weights, name) or getattr(self.cycle, name)
            if asked and getattr(self, f"{name}_network") == "none":
                raise UsageError(f"weights.{name} is not 0, but there is no {name}_network", "name one, or set 0")
        check_used(self.perceptual_network, self.weights.perceptual or self.cycle.perceptual)
        self.full_size()  # refuses what does not go together

    def full_size(self) -> FullSizeOptions:
        """The same for the full-size task."""
        return FullSizeOptions(
            domain="faces",
            model=self.model,
            base_generator="own",
            adapter_warm_up=0,
            alpha=self.alpha,
            edit_share=self.edit_share,
            cycle_on=self.cycle_on,
            d_start="scratch",
            r1_gamma=self.r1_gamma,
            r1_every=self.r1_every,
            tf_epsilon=False,
            mirror=self.mirror,
            held_out=self.held_out,
            workers=self.workers,
            weights=self.weights,
            cycle=self.cycle,
        )


def build(recipe: Recipe, context: Context) -> OwnResidualTask:
    """StyleRes or WarpRes on an e4e of one's own.

    Raises UsageError for an option that `Options` does not have, MissingError without images or e4e.
    """
    check_groups(context.processes.size_of_part(recipe.batch))
    return OwnResidualTask(recipe, from_table(Options, recipe.options, recipe.name), context)


class OwnResidualTask(FullSizeTask):
    """Trains E_1, E_2, perhaps the flow, and a discriminator from scratch."""

    def __init__(self, recipe: Recipe, options: Options, context: Context) -> None:
        if context.data is None:
            raise MissingError("no training images", f"python -m methods.training {recipe.name} --data FOLDER_OR_ZIP")
        self.own = options
        self.base_file = Path(options.base_file or context.runs / "own" / "e4e" / "e4e.safetensors")
        if not self.base_file.is_file():
            raise MissingError(f"no e4e at {self.base_file}", "train it first: python -m methods.training own/e4e")
        networks = _networks(options, self.base_file, context.device)
        super().__init__(recipe, options.full_size(), context, networks, context.data)
        self.given = {**self.given, "e4e": file_digest(self.base_file)}

    def check(self) -> Mapping[str, float]:
        """As `FullSizeTask.check`, without the identity where no face network was given."""
        figures = dict(super().check())
        if self.own.identity_network == "none":
            figures.pop("identity", None)
        return figures

    def export(self, path: Path, provenance: Mapping[str, Any]) -> None:
        """What was trained; the base is a part, found beside it or where its own training left it."""
        part = self.own.model
        metadata = {
            "method": part,
            "domain": "faces",  # square images, whatever is on them
            "base": "e4e",
            "parts": [self.base_file.name],
            "config": {part: to_dict(self.model.config)},
            "made": dict(provenance),
            "held_out": dict(self.check()),
        }
        write_safetensors(path, prefixed({f"{part}.": self.model}), metadata)


def _networks(options: Options, base_file: Path, device: torch.device) -> Networks:
    base: Any = load_method("e4e", checkpoint=base_file, device=device)
    config, encoder = base.generator.config, base.encoder.config
    model: StyleRes
    teacher = None
    if options.model == "warpres":
        model = WarpRes(flow_config(config, encoder, options.width))
        if options.weights.flow:
            teacher = _teacher(model, has_released_flow(config), device)
    else:
        model = StyleRes(residual_config(config, encoder, options.width))
    phi: Any = perceptual_network(options.perceptual_network, device)
    critics = LossNetworks(phi, identity_network(options.identity_network, device))
    discriminator = Discriminator(discriminator_config(config)).to(device)
    return Networks(cast(Base, base), model.to(device), discriminator, critics, teacher)


def _teacher(model: WarpRes, fits: bool, device: torch.device) -> FlowNet:
    """The released flow network, from whose head the model's starts."""
    if not fits:
        raise UsageError(
            "weights.flow: the released flow network fits generators of 128 px and more",
            "weights.flow = 0: the flow is then learned from the images alone",
        )
    path = locate("warpc-glunet")
    teacher = load_flow_net(Checkpoint(path, read_checkpoint(path)), "warpc_glunet")
    load_strict(model.head, teacher.head.state_dict(), "the teacher's head")
    return teacher.eval().requires_grad_(False).to(device)
