"""What a residual training stands on, loaded: the frozen base, the critics, the teacher; and where the model starts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.core.checkpoint import load_strict, read_checkpoint, state_dict_of, take
from bench.core.errors import MissingError
from bench.world.flow_teacher import load_flow_teacher
from methods.nets.flow.network import FlowNet
from methods.nets.stylegan2 import Discriminator, Generator
from methods.styleres.pipeline import StyleRes
from methods.training.bases import BaseEncoder, load_base_encoder
from methods.training.frozen import FastCritics, FastEncoder, FastGenerator, frozen_copy, quicken
from methods.training.paths import Base
from methods.training.residual.options import Options
from methods.training.task import Context
from methods.training.world import DISCRIMINATOR, find, load_generator, load_loss_critics
from methods.warpres.network import WarpRes
from methods.warpres.presets import WORLD_STYLERES, WORLD_WARPRES


@dataclass(frozen=True)
class Networks:
    """The frozen surroundings.

    Attributes:
        encoder, average, generator: The base in float32, for held-out figures.
        base: The same as fast copies.
        critics: Phi and A as fast copies.
        teacher: Of the flow, float32; None where no loss asks for it.
    """

    encoder: BaseEncoder
    average: Tensor
    generator: Generator
    base: Base
    critics: FastCritics
    teacher: FlowNet | None


def load_networks(options: Options, context: Context, dtype: torch.dtype) -> Networks:
    """Everything frozen, on the context's device."""
    runs, device = context.runs, context.device
    generator, average = load_generator(runs, device)
    encoder = load_base_encoder(options.base, runs, device)
    base = Base(FastEncoder(encoder, average, dtype), FastGenerator(generator, dtype))
    critics = FastCritics(load_loss_critics(runs, device), dtype)
    teacher = None
    if options.weights.flow or options.weights.flow_moving:
        teacher = frozen_copy(load_flow_teacher(find("teacher.safetensors", runs), device), torch.float32)
    return Networks(encoder, average, generator, base, critics, teacher)


def new_model(options: Options, context: Context) -> StyleRes:
    """The StyleRes or WarpRes of a recipe, started from where the recipe says; what a shipped file has, from that."""
    if options.model == "styleres":
        model = StyleRes(WORLD_STYLERES)
    else:
        model = WarpRes(replace(WORLD_WARPRES, flow_source=options.flow_source))
    if options.start and context.shipped is None:
        _start_residual(model, find(options.start, context.runs))
    frozen = options.flow_source == "pictures"
    if isinstance(model, WarpRes) and options.flow_start and (frozen or context.shipped is None):
        _start_flow(model, find(options.flow_start, context.runs))
    if isinstance(model, WarpRes) and frozen:
        for part in (model.head, model.pyramid):
            assert part is not None
            part.eval().requires_grad_(False)
    for net in flow_parts(model).values():
        quicken(net).to(memory_format=torch.channels_last)  # three times as fast in float32
    return model.to(context.device)


def _start_residual(model: StyleRes, path: Path) -> None:
    """E_1 and E_2 of an earlier training."""
    tensors = state_dict_of(read_checkpoint(path))
    prefix = next((name for name in ("styleres.", "warpres.") if any(key.startswith(name) for key in tensors)), None)
    if prefix is None:
        raise MissingError(f"{path} has no E_1 and E_2", "give a file that the task residual wrote as start")
    for part in ("extractor", "injector"):
        load_strict(getattr(model, part), take(tensors, f"{prefix}{part}."), f"{path.name} ({part})")


def _start_flow(model: WarpRes, path: Path) -> None:
    """The flow of an earlier training with its adapters, or the teacher's head (and pyramid)."""
    tensors = state_dict_of(read_checkpoint(path))
    own = any(key.startswith("flow.") for key in tensors)
    prefix = "flow." if own else "teacher."
    load_strict(model.head, take(tensors, f"{prefix}head."), f"{path.name} (head)")
    if model.pyramid is not None:
        load_strict(model.pyramid, take(tensors, "teacher.pyramid."), f"{path.name} (pyramid)")
    if own and model.adapters is not None:
        load_strict(model.adapters, take(tensors, "flow.adapters."), f"{path.name} (adapters)")


def load_discriminator(context: Context) -> Discriminator:
    """The generator's own discriminator, to go on from."""
    discriminator = Discriminator(DISCRIMINATOR)
    tensors = state_dict_of(read_checkpoint(find("discriminator.safetensors", context.runs)))
    load_strict(discriminator, take(tensors, "discriminator."), "discriminator.safetensors")
    return discriminator.to(context.device)


def trained_parameters(model: StyleRes, options: Options) -> list[dict[str, object]]:
    """Parameter groups of the optimiser: E_1 and E_2, then the flow with its own factor of the rate."""
    groups: list[dict[str, object]] = []
    if options.train == "all":
        groups.append({"params": [*model.extractor.parameters(), *model.injector.parameters()]})
    flow = [p for part in flow_parts(model).values() for p in part.parameters() if p.requires_grad]
    if flow:
        groups.append({"params": flow, "rate_factor": options.flow_rate_factor})
    return groups


def flow_parts(model: StyleRes) -> dict[str, nn.Module]:
    """What is WarpRes's own: head and adapters (or pyramid)."""
    if not isinstance(model, WarpRes):
        return {}
    parts = {"head": model.head, "adapters": model.adapters, "pyramid": model.pyramid}
    return {name: part for name, part in parts.items() if part is not None}
