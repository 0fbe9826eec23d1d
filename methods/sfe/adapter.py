"""StyleFeatureEditor (sfe card): a FeatureStyle-like encoder whose feature map is edited by what the edit does to e4e.

Strengths are ours: `delta` is added as it is, to the method's own codes and to e4e's. The authors' scripts halve the
strength of InterFaceGAN directions before; their "age 10" is 5 here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.core.checkpoint import load_part, load_strict, state_dict_of, take
from bench.core.contract import Domain, Inversion, TwinInversion, stage
from bench.core.errors import MissingError
from methods.checkpoint_parts import one_of_each
from methods.generators import built, find_generator
from methods.nets.base import Canvas, LatentMethod, edited
from methods.nets.pyramid import PyramidConfig, PyramidEncoder
from methods.nets.stylegan2 import Generator, State, StyleDelta
from methods.registry import STYLE_RULES, Checkpoint, MethodEntry
from methods.sfe.network import Inverter, Mixer, SfeConfig

_PARTS = (("sfe",), ("a StyleGAN2 generator",), ("e4e",))
_EDITOR, _INVERTER = "encoder.", "inverter."


@dataclass(frozen=True)
class SfeInversion(TwinInversion):
    """Codes of both encoders (`shadow` are e4e's), and the maps an edit needs.

    Attributes:
        fused: F_fused (N, C, s, s).
        rgb: The RGB skip of the own codes below the insertion, (N, 3, s, s).
        tap: Generator feature of e4e's codes there, (N, C, s, s).
    """

    fused: Tensor
    rgb: Tensor | None
    tap: Tensor


class Sfe(LatentMethod):
    """The method on given networks."""

    stages: tuple[str, ...] = ("encode", "fuse", "shadow", "edit", "synthesise")

    def __init__(
        self,
        name: str,
        generator: Generator,
        inverter: Inverter,
        editor: Mixer,
        e4e: PyramidEncoder,
        average: Tensor,
        config: SfeConfig,
    ) -> None:
        side = generator.config.size
        super().__init__(name, Canvas("faces", (side, side), side), generator, average)
        self.inverter, self.editor, self.e4e = inverter, editor, e4e
        self.config = config

    def shrink(self, images: Tensor) -> Tensor:
        """What both encoders see: bilinear without antialiasing, of 1024 px the middle 2x2 of every 4x4 pixels."""
        side = (self.config.seen,) * 2
        return F.interpolate(images, side, mode="bilinear", align_corners=False, antialias=False)

    def invert(self, images: Tensor) -> SfeInversion:
        """Invert float32 (N, 3, *input_size) in [-1, 1]."""
        self.canvas.check(images)
        small = self.shrink(images)
        with stage("encode"):
            rows, predicted = self.inverter.fs_backbone(small)
            codes = rows + self.latent_avg
        with stage("fuse"):
            own = self._tap(codes)
            fused = self.inverter.fuser(predicted, own.x)
        with stage("shadow"):
            shadow = self.e4e(small) + self.latent_avg
            tap = self._tap(shadow).x
        return SfeInversion(codes, shadow, fused, own.rgb, tap)

    def edit(
        self,
        inversion: Inversion,
        delta: Tensor | None = None,
        style_delta: StyleDelta | None = None,
        shadow_delta: Tensor | None = None,
    ) -> Tensor:
        """Image (N, 3, H, W); the editor runs for a reconstruction too.

        `delta` is added to the own codes, `shadow_delta` to e4e's, or `delta` to both where it is None. They differ for
        edits that depend on the codes, such as GANSpace's, which set a coordinate (card, section 7).
        """
        assert isinstance(inversion, SfeInversion)
        codes, rgb = inversion.codes, inversion.rgb
        change = torch.zeros_like(inversion.fused)
        if delta is not None or style_delta is not None:
            codes = edited(codes, delta)
            with stage("shadow"):
                change = self.change(inversion, delta if shadow_delta is None else shadow_delta, style_delta)
                rgb = self._tap(codes, style_delta).rgb
        with stage("edit"):
            features = self.editor(inversion.fused, change)
        with stage("synthesise"):
            return self.synthesise(codes, State(features, rgb, self.config.insert_at), style_delta)

    def change(self, inversion: SfeInversion, delta: Tensor | None, style_delta: StyleDelta | None = None) -> Tensor:
        """Δ (N, C, s, s): unedited minus edited, of the generator on e4e's codes."""
        return inversion.tap - self._tap(edited(inversion.shadow, delta), style_delta).x

    def _tap(self, codes: Tensor, style_delta: StyleDelta | None = None) -> State:
        return self.generator.advance(None, codes, self.config.insert_at, style_delta=style_delta)


def build(entry: MethodEntry, domain: Domain, checkpoints: Sequence[Checkpoint]) -> Sfe:
    """From three files in any order: SFE's own, the generator's and e4e's (of which the encoder is used)."""
    own, generator_file, e4e_file = one_of_each(checkpoints, _PARTS, entry.name, domain)
    found = find_generator(generator_file.content, generator_file.path)
    if found is None or found.average is None:
        raise MissingError(f"{generator_file.path} has no latent_avg", "give stylegan2-ffhq-config-f.pt")
    config = SfeConfig()
    with torch.device("meta"):
        inverter, editor = Inverter(config), Mixer(config.width, config.depth)
        e4e = PyramidEncoder(PyramidConfig(rows=found.config.rows, wiring="deltas"))
    tensors = state_dict_of(own.content)
    # "encoder." is the feature editor in this file, and e4e in the third; the file may hold a discriminator too.
    load_part(editor, tensors, _EDITOR, own.path)
    load_part(inverter, tensors, _INVERTER, own.path)
    load_strict(e4e, take(state_dict_of(e4e_file.content), "encoder."), str(e4e_file.path))
    generator = built(found, generator_file.path)
    return Sfe(entry.name, generator, inverter, editor, e4e, found.average, config)


METHODS = (
    MethodEntry(
        name="sfe",
        build=build,
        files=("sfe_editor_light.pt", "stylegan2-ffhq-config-f.pt, the generator", "e4e_ffhq_encode.pt"),
        edits=STYLE_RULES,
        title="SFE",
        summary="StyleFeatureEditor (Bobkov et al. 2024): a 64 px feature map, edited as the edit changes e4e's",
        golden=("sfe_ffhq",),
    ),
)
