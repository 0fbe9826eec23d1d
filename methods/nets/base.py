"""What images go into a method and come out of it, and the part every W+ method shares: codes to image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from bench.core.contract import Domain, InputFilter, Inversion, stage
from bench.core.domains import find_domain
from bench.core.errors import MissingError, UsageError
from methods.nets.stylegan2 import Generator, Shifted, State, StyleDelta, Synthesis

# Generated images, which may be inverted again, reach beyond 1, but not this far.
_TOO_BRIGHT = 10.0


@dataclass(frozen=True)
class Canvas:
    """Image sizes of a method.

    Attributes:
        domain: Its images may be the middle rows of the generator's square image (cars: 64..447 of 512).
        input_size: (height, width) the encoder takes.
        generator_size: Side of the generator's square image.
    """

    domain: Domain
    input_size: tuple[int, int]
    generator_size: int

    @classmethod
    def of(cls, domain: Domain, generator_size: int, input_width: int | None = None) -> Canvas:
        """The released networks' canvas: 256 px wide input (or the generator's own size where that is smaller)."""
        spec = find_domain(domain)
        return cls(domain, spec.size(min(input_width or spec.input_width, generator_size)), generator_size)

    @property
    def output_size(self) -> tuple[int, int]:
        """(height, width) of a generated image after `crop`."""
        return find_domain(self.domain).size(self.generator_size)

    def crop(self, image: Tensor) -> Tensor:
        """The image's rows of a square (N, C, s, s): all for faces, s/8 .. 7s/8 - 1 for cars."""
        side = image.shape[-2]
        above = (side - find_domain(self.domain).size(side)[0]) // 2
        return image[:, :, above : side - above] if above else image

    def check(self, images: Tensor) -> None:
        """Raise UsageError unless images are (N, 3, *input_size), and not of 0 to 255."""
        expected = (3, *self.input_size)
        if images.ndim != 4 or tuple(images.shape[1:]) != expected:
            raise UsageError(f"images have shape {tuple(images.shape)}, expected (N, {', '.join(map(str, expected))})")
        if not images.is_floating_point() or (len(images) and float(images.detach().abs().amax()) > _TOO_BRIGHT):
            raise UsageError(
                f"images are {images.dtype} up to {float(images.max()):.0f}, expected floats in [-1, 1]",
                "images / 127.5 - 1, from pixels of 0 to 255",
            )


class LatentMethod(nn.Module):
    """Base of methods that edit W+ codes: checks, latent_avg, and codes -> image with the stored noise.

    Subclasses implement `invert`; those that change features in the generator override `edit`.
    """

    stages: tuple[str, ...] = ("encode", "synthesise")
    # torchvision's Resize on PIL, in every repository of the pSp family (protocol card, 1.2).
    input_filter: InputFilter = "bilinear"
    latent_avg: Tensor

    generator: Generator

    def __init__(self, name: str, canvas: Canvas, generator: Generator, latent_avg: Tensor) -> None:
        super().__init__()
        self.name, self.canvas, self.generator = name, canvas, generator
        self.domain = canvas.domain
        self.input_size, self.output_size = canvas.input_size, canvas.output_size
        self.latent_rows = generator.config.rows
        self.register_buffer("latent_avg", average_rows(latent_avg, self.latent_rows).clone())

    @property
    def sampled_generator(self) -> Generator:
        """The generator that samples are drawn from (`DrawsSamples`)."""
        return self.generator

    def crop(self, images: Tensor) -> Tensor:
        """The method's image (N, 3, H, W) of the generator's square one."""
        return self.canvas.crop(images)

    def edit(self, inversion: Inversion, delta: Tensor | None = None, style_delta: StyleDelta | None = None) -> Tensor:
        """Images (N, 3, H, W) of an inversion, with `delta` (L, D) or (N, L, D) added to its codes.

        `style_delta`: convolution layer -> (C,) or (N, C), added to that layer's style.
        """
        with stage("synthesise"):
            return self.synthesise(edited(inversion.codes, delta), style_delta=style_delta)

    def synthesise(self, codes: Tensor, state: State | None = None, style_delta: StyleDelta | None = None) -> Tensor:
        """Cropped image (N, 3, H, W) of codes (N, L, D), from the start or from a state of the generator."""
        rgb = self.generator.advance(state, codes, style_delta=style_delta).rgb
        assert rgb is not None
        return self.canvas.crop(rgb)


def edited(codes: Tensor, delta: Tensor | None) -> Tensor:
    """Codes (N, L, D) plus delta (L, D) or (N, L, D), or as they are."""
    return codes if delta is None else codes + delta.to(codes)


def shifted(generator: Generator, style_delta: StyleDelta | None) -> Synthesis:
    """The generator, or a view of it with moved styles."""
    return generator if style_delta is None else Shifted(generator, style_delta)


def average_rows(latent_avg: Tensor, rows: int) -> Tensor:
    """latent_avg as (rows, D), from any of the shapes found in released files: (D), (1, D), (rows, D), (1, rows, D).

    More rows than the generator has (18 for a 16-row car generator) are cut, as the authors' guard does.
    """
    average = latent_avg.detach().float().reshape(-1, latent_avg.shape[-1])
    if 1 < len(average) < rows:
        raise MissingError(f"latent_avg has {len(average)} rows, expected 1 or {rows}", "check the checkpoint's domain")
    return average.expand(rows, -1) if len(average) == 1 else average[:rows]


def latent_avg_of(content: Mapping[str, Any], where: object) -> Tensor:
    """The top-level "latent_avg" of an authors' file."""
    average = content.get("latent_avg")
    if not isinstance(average, Tensor):
        raise MissingError(
            f"{where} has no latent_avg, which the codes are relative to", "use the authors' released file"
        )
    return average
