"""WarpRes on any base encoder, and the released StyleRes with a pretrained flow ("warpres" card)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch

from bench.core.checkpoint import load_strict, state_dict_of, take
from bench.core.contract import Domain
from bench.core.errors import MissingError
from methods.checkpoint_parts import one_of_each
from methods.nets.configs import from_dict
from methods.nets.flow.glunet import FlowConfig, FlowKind
from methods.nets.flow.names import flow_kind, flow_tensors, official_names
from methods.nets.flow.network import FlowNet
from methods.registry import STYLE_RULES, Checkpoint, MethodEntry
from methods.styleres.adapter import GENERATOR, Base, ResidualMethod, build_released, load_model
from methods.styleres.bases import BASES, base_method, ours_of, parts_golden
from methods.styleres.network import ResidualConfig
from methods.warpres.network import WarpRes, WarpResConfig


def build(entry: MethodEntry, domain: Domain, checkpoints: Sequence[Checkpoint]) -> ResidualMethod:
    """X+warpres (e4e without an X) from X's file, our trained parts and perhaps a shared generator.

    A flow that was not trained along ("pictures") lies in its teacher's file, "teacher.*". Raises MissingError where
    the trained parts have a flow as well.
    """
    base_name, _, _ = entry.name.rpartition("+")
    trained = ours_of(checkpoints, "warpres", entry, domain, also=["teacher"])
    config = from_dict(WarpResConfig, trained.metadata["config"]["warpres"])
    tensors = state_dict_of(trained.content)
    own, taught = take(tensors, "warpres."), take(tensors, "teacher.")
    if twice := sorted(own.keys() & taught.keys()):
        raise MissingError(f"{trained.path} and the teacher's file both hold {twice[0]}", "leave the teacher's out")
    model = load_model(WarpRes, config, own | taught, str(trained.path), "warpres.".__add__)
    return ResidualMethod(entry.name, cast(Base, base_method(base_name or "e4e", domain, checkpoints)), model)


def build_untrained(entry: MethodEntry, domain: Domain, checkpoints: Sequence[Checkpoint]) -> ResidualMethod:
    """The released StyleRes with a released flow network between its E_1 and E_2, nothing trained for it."""
    released, flow = one_of_each(checkpoints, _UNTRAINED, entry.name, domain)
    base, styleres = build_released(domain, released)
    network = load_flow_net(flow)
    with torch.device("meta"):
        model = WarpRes(
            WarpResConfig(
                residual=ResidualConfig(arch="styleres", width=512),
                flow=network.config,
                flow_source="pictures",
                pyramid=network.pyramid.config,
            )
        )
    model.extractor, model.injector = styleres.extractor, styleres.injector
    model.head, model.pyramid = network.head, network.pyramid
    return ResidualMethod(entry.name, base, model)


def load_flow_net(file: Checkpoint, kind: FlowKind | None = None) -> FlowNet:
    """A released WarpC network, VGG16 included, loaded strictly; `kind` is read from the tensors when None."""
    tensors = state_dict_of(file.content)
    with torch.device("meta"):
        network = FlowNet(FlowConfig(kind=kind or flow_kind(tensors)))
    load_strict(network, flow_tensors(tensors), str(file.path), official_names(tensors))
    return network


_UNTRAINED = (("styleres",), ("a GLU-Net flow network",))
_FLOW = ("warpc_glunet", "warpc_semantic_glunet", "flow_blocks")

METHODS = (
    MethodEntry(
        name="warpres",
        build=build,
        domains=("faces", "cars"),
        files=("e4e's checkpoint", "our trained warpres.safetensors"),
        optional=(GENERATOR,),
        edits=STYLE_RULES,
        title="WarpRes",
        place=90,
        summary="WarpRes (Yildirim et al. 2023): residual features that follow the edit through a learned flow",
        golden=(*parts_golden("e4e"), *_FLOW),
    ),
    *(
        MethodEntry(
            name=f"{base.name}+warpres",
            build=build,
            domains=base.domains,
            files=(f"{base.name}'s checkpoint", "our trained warpres.safetensors"),
            optional=(GENERATOR,),
            edits=STYLE_RULES,
            title=f"{base.title}+WarpRes",
            place=base.place,
            summary=f"WarpRes over {base.title}" + (": warpres by its long name" if base.name == "e4e" else ""),
            golden=(*parts_golden(base.name), *_FLOW),
        )
        for base in BASES.values()
    ),
    MethodEntry(
        name="styleres+flow",
        build=build_untrained,
        files=("styleres_ffhq.pth", "WarpCGLUNet_megadepth.pth or another released WarpC network"),
        edits=STYLE_RULES,
        released={"faces": ("styleres-faces", "warpc-glunet")},
        summary="The released StyleRes with a pretrained flow between E_1 and E_2; nothing trained for it",
        golden=("styleres_ffhq", *_FLOW),
    ),
)
