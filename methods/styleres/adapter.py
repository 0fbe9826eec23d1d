"""StyleRes, and StyleRes on other base encoders, behind the contract ("styleres" card).

`ResidualMethod` also carries WarpRes: what differs is the `StyleRes` object it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from bench.core.checkpoint import load_strict, state_dict_of, take
from bench.core.contract import Domain, InputFilter, Inversion, SharesEncoder
from bench.core.errors import MissingError, UsageError
from bench.core.signature import expect
from methods.nets.base import Canvas, edited, latent_avg_of, shifted
from methods.nets.configs import from_dict
from methods.nets.pyramid import Encoded, PyramidConfig
from methods.nets.stylegan2 import Generator, GeneratorConfig, State, StyleDelta
from methods.psp.adapter import assemble
from methods.registry import STYLE_RULES, Checkpoint, MethodEntry
from methods.styleres.bases import BASES, base_method, ours_of, parts_golden, pick
from methods.styleres.names import RELEASED_CLAMP, check_unused, generator_tensors, official_name, residual_tensors
from methods.styleres.pipeline import Prefix, Prepared, StyleRes, StyleResConfig


class Base(Protocol):
    """A W+ method that StyleRes or WarpRes is built on: pSp, e4e, StyleTransformer."""

    canvas: Canvas
    generator: Generator
    latent_rows: int

    def encode(self, images: Tensor) -> Encoded:
        """Codes with latent_avg, and taps, of float32 (N, 3, *canvas.input_size) in [-1, 1]."""
        ...


@dataclass(frozen=True)
class ResidualInversion(Inversion):
    """The invert-once set.

    Attributes:
        residual: F_a (N, C, r, r).
        features: F_g (N, C, r, r), the generator of the unedited codes at the tap.
        rgb: The RGB skip there, (N, 3, r / 2, r / 2).
        source: Maps of the unedited image for the flow, coarse to fine; empty without one.
    """

    residual: Tensor
    features: Tensor
    rgb: Tensor | None
    source: tuple[Tensor, ...]


class ResidualMethod(nn.Module):
    """A base encoder with E_1, E_2 and, in WarpRes, the flow."""

    # StyleRes's loader resizes with Pillow's default, whatever the base encoder's own code does (styleres card, 7).
    input_filter: InputFilter = "bicubic"

    def __init__(self, name: str, base: Base, model: StyleRes) -> None:
        super().__init__()
        self.name, self.base, self.model = name, base, model
        self.canvas = base.canvas
        self.domain = self.canvas.domain
        self.input_size, self.output_size = self.canvas.input_size, self.canvas.output_size
        self.latent_rows = base.latent_rows
        self.stages = ("encode", *model.stages)

    @property
    def sampled_generator(self) -> Generator:
        """The base encoder's generator (`DrawsSamples`)."""
        return self.base.generator

    def crop(self, images: Tensor) -> Tensor:
        """The method's image (N, 3, H, W) of the generator's square one."""
        return self.canvas.crop(images)

    @property
    def base_digest(self) -> str | None:
        """The base encoder's (see `PyramidMethod`); None for a base that does not offer its results."""
        return self.base.base_digest if isinstance(self.base, SharesEncoder) else None

    def invert(self, images: Tensor) -> ResidualInversion:
        """Invert float32 (N, 3, *input_size) in [-1, 1]."""
        return self.invert_from(images, self.invert_base(images))

    def invert_base(self, images: Tensor) -> Encoded:
        """What the base encoder alone sees: codes and taps."""
        return self.base.encode(images)

    def invert_from(self, images: Tensor, base: Encoded) -> ResidualInversion:
        """The rest of `invert`, on the base encoder's result for the same images."""
        codes, taps = base
        prepared = self.model.prepare(self.base.generator, codes, taps[self.model.config.base_tap])
        state = prepared.prefix.state
        return ResidualInversion(codes, prepared.residual, state.x, state.rgb, prepared.source)

    def edit(self, inversion: Inversion, delta: Tensor | None = None, style_delta: StyleDelta | None = None) -> Tensor:
        """Images (N, 3, H, W), with `delta` (L, D) or (N, L, D) added to the codes, `style_delta` to the styles.

        Features and flow of the unedited image stay those of its own styles (edits card, section 2.5).
        """
        assert isinstance(inversion, ResidualInversion)
        # No change takes the cached prefix, as a reconstruction does.
        changed = style_delta is not None or (delta is not None and bool(delta.any()))
        codes = edited(inversion.codes, delta) if changed else None
        generator = shifted(self.base.generator, style_delta)
        rendered = self.model.render(generator, self._prepared(inversion), codes)
        return self.canvas.crop(rendered.image)

    def _prepared(self, inversion: ResidualInversion) -> Prepared:
        state = State(inversion.features, inversion.rgb, self.model.config.tap_layer + 1)
        return Prepared(inversion.codes, inversion.residual, Prefix(state, ()), inversion.source)


def build_released(domain: Domain, file: Checkpoint) -> tuple[Base, StyleRes]:
    """Base and StyleRes of the authors' file: encoder, generator and E_1, E_2 in one."""
    encoder, generator = file.content.get("e4e"), file.content.get("generator_smooth")
    if not isinstance(encoder, dict) or not isinstance(generator, dict):
        raise MissingError(f"{file.path} lacks e4e or generator_smooth", "give the authors' styleres_ffhq.pth")
    tensors = {f"encoder.{name}": value for name, value in encoder.items()}
    tensors |= {f"decoder.{name}": value for name, value in generator_tensors(generator).items()}
    sizes = GeneratorConfig(clamp=RELEASED_CLAMP)
    average = latent_avg_of(file.content, file.path)
    where = str(file.path)
    check_unused(generator, sizes.size, sizes.style_dim, where)
    canvas = Canvas.of(domain, sizes.size)
    base = assemble("e4e", tensors, where, PyramidConfig(), canvas, sizes, average, official_name)
    parts = residual_tensors(generator)
    return base, load_model(StyleRes, StyleResConfig(), parts, f"{where}: E_1 and E_2", official_name)


def load_model(
    kind: type[StyleRes],
    config: StyleResConfig,
    tensors: dict[str, Tensor],
    what: str,
    official: Callable[[str], str] = str,
) -> StyleRes:
    """A StyleRes or WarpRes with its tensors, loaded strictly; `official` gives the file's names for messages."""
    with torch.device("meta"):
        model = kind(config)
    load_strict(model, tensors, what, official)
    return model


def build(entry: MethodEntry, domain: Domain, checkpoints: Sequence[Checkpoint]) -> ResidualMethod:
    """StyleRes of the authors' file; or X+styleres of X's file, our trained parts and perhaps a shared generator."""
    base_name = entry.name.rpartition("+")[0] or "e4e"
    (first, *others) = checkpoints
    if base_name == "e4e" and not others and not first.metadata:
        expect(first.content, first.path, "styleres", domain)
        base, model = build_released(domain, first)
        return ResidualMethod(entry.name, base, model)
    none_ours = not any(file.metadata for file in checkpoints)
    if base_name == "e4e" and none_ours and pick(checkpoints, "styleres", ours=False) is not None:
        raise UsageError(f"{entry.name} needs 1 file(s), got {len(checkpoints)}", f"give: {_RELEASED} alone")
    trained = ours_of(checkpoints, "styleres", entry, domain)
    config = from_dict(StyleResConfig, trained.metadata["config"]["styleres"])
    own = take(state_dict_of(trained.content), "styleres.")
    model = load_model(StyleRes, config, own, str(trained.path), "styleres.".__add__)
    return ResidualMethod(entry.name, cast(Base, base_method(base_name, domain, checkpoints)), model)


GENERATOR = "a generator to share (stylegan2-ffhq-config-f.pt or styleres_ffhq.pth)"

_RELEASED = "styleres_ffhq.pth"
_TRAINED = "our trained styleres.safetensors"


def _on(base: MethodEntry) -> MethodEntry:
    # The released StyleRes is one on e4e, so that there the one file is enough.
    released = base.name == "e4e"
    return MethodEntry(
        name=f"{base.name}+styleres",
        build=build,
        domains=base.domains,
        files=(f"{_RELEASED}, or e4e's checkpoint",) if released else (f"{base.name}'s checkpoint", _TRAINED),
        optional=(_TRAINED, GENERATOR) if released else (GENERATOR,),
        edits=STYLE_RULES,
        title=f"{base.title}+StyleRes",
        place=base.place,
        summary=f"StyleRes over {base.title}" + (": styleres by its long name" if released else ""),
        golden=("styleres_ffhq", *parts_golden(base.name)),
    )


METHODS = (
    MethodEntry(
        name="styleres",
        build=build,
        domains=("faces", "cars"),
        files=(f"{_RELEASED}, or e4e's checkpoint",),
        optional=(_TRAINED, GENERATOR),
        edits=STYLE_RULES,
        title="StyleRes",
        place=80,
        summary="StyleRes (Pehlivan et al. 2023): residual features added inside the generator",
        golden=("styleres_ffhq",),
    ),
    *(_on(base) for base in BASES.values()),
)
