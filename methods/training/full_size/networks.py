"""The frozen networks of a full-size training and what it trains, from released files found through the registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bench.core.checkpoint import load_strict, read_checkpoint
from bench.core.errors import MissingError, all_missing
from bench.weights.registry import locate
from methods.discriminators import load_discriminator
from methods.nets.flow.network import FlowNet
from methods.nets.stylegan2 import Discriminator, DiscriminatorConfig, Generator
from methods.nets.stylegan2.discriminator import CONFIG_F
from methods.registry import Checkpoint
from methods.styleres.adapter import Base
from methods.styleres.bases import base_method
from methods.styleres.pipeline import StyleRes
from methods.training.full_size.options import Options
from methods.training.loss_networks import LossNetworks, load_identity, load_vgg16
from methods.warpres.adapter import load_flow_net
from methods.warpres.network import WarpRes, WarpResConfig

_FLOW_FILES = {"warpc_glunet": "warpc-glunet", "warpc_semantic_glunet": "warpc-semantic-glunet"}
_WHAT_DATA = {"faces": "FFHQ (70,000 images)", "cars": "Stanford Cars' train images"}


@dataclass(frozen=True)
class Networks:
    """All networks, on the training's device.

    Attributes:
        base: E_0 with its generator, frozen, in eval mode.
        model: E_1, E_2 and perhaps the flow: trained.
        discriminator: D: trained.
        losses: Phi and A, frozen.
        teacher: The released flow network, frozen; None where no flow is trained.
    """

    base: Base
    model: StyleRes
    discriminator: Discriminator
    losses: LossNetworks
    teacher: FlowNet | None

    @property
    def generator(self) -> Generator:
        """E_0's own generator, frozen: the one that all passes draw with."""
        return self.base.generator


def needed_files(options: Options) -> dict[str, str]:
    """What a training starts from: part -> registry name."""
    found = {"base": f"{options.base}-{options.domain}"}
    if options.base_generator == "shared":
        found["generator"] = "stylegan2-ffhq"
    if options.d_start == "pretrained":
        found["discriminator"] = "nvidia-discriminator-256"
    found["perceptual"] = "vgg16-keras"
    found["identity"] = "arcface-irse50" if options.domain == "faces" else "moco-v2-resnet50"
    if options.model == "warpres":
        found["flow"] = _FLOW_FILES[options.flow_net]
    return found


def find_files(options: Options, data: Path | None, recipe: str) -> dict[str, Path]:
    """Paths of `needed_files`. Raises one MissingError that lists all that is not here, the images included."""
    found, absent = dict[str, Path](), list[MissingError]()
    if data is None:
        what = _WHAT_DATA[options.domain]
        absent.append(MissingError(f"no training images: {what}", f"add --data FOLDER_OR_ZIP to {recipe}"))
    for part, name in needed_files(options).items():
        try:
            found[part] = locate(name)
        except MissingError as error:
            absent.append(error)
    if absent:
        raise all_missing(absent)
    return found


def load_networks(options: Options, files: Mapping[str, Path], device: torch.device) -> Networks:
    """Everything loaded strictly. Raises MissingError for a file that is not what it should be."""
    base = _base(options, files, device)
    model = _model(options)
    teacher = None
    if isinstance(model, WarpRes):
        teacher = load_flow_net(Checkpoint(files["flow"], read_checkpoint(files["flow"])), options.flow_net)
        load_strict(model.head, teacher.head.state_dict(), "the teacher's head")
        if model.pyramid is not None:
            # The released network is the model's own here, and nothing is left to teach.
            load_strict(model.pyramid, teacher.pyramid.state_dict(), "the teacher's pyramid")
            model.head.requires_grad_(False)
            model.pyramid.requires_grad_(False)
            teacher = None
        else:
            teacher = teacher.eval().requires_grad_(False).to(device)
    losses = LossNetworks(
        load_vgg16(files["perceptual"], options.vgg_layers, options.vgg_input_scale).to(device),
        load_identity(files["identity"], options.domain).to(device),
    )
    discriminator = _discriminator(options, files, base.generator.config.size)
    return Networks(base, model.to(device), discriminator.to(device), losses, teacher)


def _base(options: Options, files: Mapping[str, Path], device: torch.device) -> Base:
    """E_0 with the generator, as the registry's method of that name."""
    checkpoints = [
        Checkpoint(files[part], read_checkpoint(files[part])) for part in ("base", "generator") if part in files
    ]
    method: Any = base_method(options.base, options.domain, checkpoints)
    moved: Base = method.eval().requires_grad_(False).to(device)
    return moved


def _model(options: Options) -> StyleRes:
    config = options.model_config()
    return WarpRes(config) if isinstance(config, WarpResConfig) else StyleRes(config)


def _discriminator(options: Options, files: Mapping[str, Path], generator_size: int) -> Discriminator:
    if "discriminator" in files:
        return load_discriminator(files["discriminator"]).train().requires_grad_(True)
    if options.d_res == "native":
        channels = {side: width for side, width in CONFIG_F.items() if side <= generator_size}
        return Discriminator(DiscriminatorConfig(generator_size, channels))
    return Discriminator(DiscriminatorConfig.half())
