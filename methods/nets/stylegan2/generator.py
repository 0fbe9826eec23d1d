"""StyleGAN2's generator, one class for every size; the state dict has rosinality's names (stylegan2 card, section 5).

The synthesis is a chain of convolution layers 0, 1, 2, ...; layer k reads style row k and noise map k, and every even
layer is followed by a to-RGB that reads row k + 1. `advance` runs any stretch of the chain, so a method can take
features out, change them and go on (StyleRes, WarpRes, HFGI, FeatureStyle) without a generator of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.nets.stylegan2.layers import EqualLinear, ModulatedConv, _Kernel, upsample_rgb

_GAIN = math.sqrt(2.0)
# Or the maps themselves, one (N or 1, 1, s, s) a layer.
Noise = Literal["stored", "random", "none"] | Sequence[Tensor]
StyleDelta = Mapping[int, Tensor]
CONFIG_F = {4: 512, 8: 512, 16: 512, 32: 512, 64: 512, 128: 256, 256: 128, 512: 64, 1024: 32}


@dataclass(frozen=True)
class GeneratorConfig:
    """Sizes of a generator. The default is config-f at 1024 px (the FFHQ generator).

    Attributes:
        size: Output height and width, a power of two.
        style_dim: Length of z and w (512 in every released model).
        mapping_layers: Linear layers of the mapping network.
        channels: Channels of each resolution from 4 to `size`.
        clamp: Bound of every layer's output and of each to-RGB's own (256 in NVIDIA's networks); None: unbounded.
        rgb: Channels of the image (96 where it is three stacked planes, as in EG3D).
    """

    size: int = 1024
    style_dim: int = 512
    mapping_layers: int = 8
    channels: Mapping[int, int] = field(default_factory=lambda: dict(CONFIG_F))
    clamp: float | None = None
    rgb: int = 3

    @classmethod
    def config_f(cls, size: int, *, clamp: float | None = None) -> GeneratorConfig:
        """The released configuration at an output size (1024 faces, 512 cars)."""
        return cls(size=size, channels={side: width for side, width in CONFIG_F.items() if side <= size}, clamp=clamp)

    @property
    def log_size(self) -> int:
        """log2 of the side: 10 at 1024."""
        return self.size.bit_length() - 1

    @property
    def rows(self) -> int:
        """L, the number of style rows: 18 at 1024, 16 at 512, 10 at 64."""
        return 2 * self.log_size - 2

    @property
    def layers(self) -> int:
        """Convolution layers (= noise maps): 17 at 1024."""
        return 2 * self.log_size - 3

    @staticmethod
    def layer_size(layer: int) -> int:
        """Output height of a convolution layer: 4, 8, 8, 16, 16, ..."""
        return 4 << ((layer + 1) // 2)


@dataclass(frozen=True)
class State:
    """Where the synthesis stands after `layer` layers have run.

    Attributes:
        x: Features (N, C, h, w), after noise, bias and activation.
        rgb: Sum of the to-RGB outputs so far, (N, 3, h', w'); None before the first.
        layer: The next layer to run.
    """

    x: Tensor
    rgb: Tensor | None
    layer: int

    def with_features(self, x: Tensor) -> State:
        """The same place with features (N, C, h, w) changed in between: a residual, a fused map."""
        return replace(self, x=x)


class _Scalar(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))


class _Bias(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))


class StyledConv(nn.Module):
    """Modulated convolution, noise, bias and activation."""

    def __init__(self, inputs: int, outputs: int, style_dim: int, *, up: bool, clamp: float | None = None) -> None:
        super().__init__()
        self.clamp = clamp
        self.conv = ModulatedConv(inputs, outputs, 3, style_dim, up=up)
        self.noise = _Scalar()
        self.activate = _Bias(outputs)

    def forward(
        self,
        x: Tensor,
        w: Tensor,
        noise: Tensor | None,
        offset: Tensor | None = None,
        shift: Tensor | None = None,
    ) -> Tensor:
        """Features (N, in, h, w) under styles w (N, D) -> (N, out, h, w), or (N, out, 2h, 2w) where it goes up.

        Args:
            noise: (1, 1, h', w') of the output's size; None for none.
            offset, shift: As in `ModulatedConv.forward`.
        """
        # sqrt(2) * leaky_relu(y) is leaky_relu(sqrt(2) * y): the gain goes into the weights, the bias and the noise.
        x = self.conv(x, w, offset, bias=self.activate.bias * _GAIN, gain=_GAIN, shift=shift)
        added = None if noise is None else (noise * (self.noise.weight * _GAIN)).to(x.dtype)
        if torch.is_grad_enabled() and x.requires_grad:
            x = F.leaky_relu(x if added is None else x + added, 0.2)
            return x if self.clamp is None else x.clamp(-self.clamp, self.clamp)
        x = F.leaky_relu_(x if added is None else x.add_(added), 0.2)
        return x if self.clamp is None else x.clamp_(-self.clamp, self.clamp)


class ToRGB(nn.Module):
    """Modulated 1x1 convolution to RGB without demodulation, added to the up-sampled skip."""

    def __init__(self, inputs: int, style_dim: int, *, up: bool, clamp: float | None = None, outputs: int = 3) -> None:
        super().__init__()
        self.clamp = clamp
        self.conv = ModulatedConv(inputs, outputs, 1, style_dim, demod=False)
        self.bias = nn.Parameter(torch.zeros(1, outputs, 1, 1))
        if up:
            self.upsample = _Kernel(gain=4.0)

    def forward(self, x: Tensor, w: Tensor, skip: Tensor | None) -> Tensor:
        """The image so far (N, 3, h, w), of features (N, in, h, w) and the half-size `skip` from before, if any."""
        rgb = self.conv(x, w, bias=self.bias.flatten())
        if self.clamp is not None:
            rgb = rgb.clamp(-self.clamp, self.clamp)
        return rgb if skip is None else rgb + upsample_rgb(skip, self.upsample.kernel)


class _Constant(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.input = nn.Parameter(torch.randn(1, channels, 4, 4))


class Generator(nn.Module):
    """StyleGAN2 generator. `forward(codes)` is the inversion format's call: W+ codes in, image out, stored noise."""

    def __init__(self, config: GeneratorConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or GeneratorConfig()
        channels, dim, clamp = config.channels, config.style_dim, config.clamp
        self.style = nn.ModuleDict(
            {str(i): EqualLinear(dim, dim, lr_mul=0.01, act=True) for i in range(1, config.mapping_layers + 1)}
        )
        self.input = _Constant(channels[4])
        self.conv1 = StyledConv(channels[4], channels[4], dim, up=False, clamp=clamp)
        self.to_rgb1 = ToRGB(channels[4], dim, up=False, clamp=clamp, outputs=config.rgb)
        self.convs, self.to_rgbs = nn.ModuleList(), nn.ModuleList()
        for power in range(3, config.log_size + 1):
            inputs, outputs = channels[2 ** (power - 1)], channels[2**power]
            self.convs.append(StyledConv(inputs, outputs, dim, up=True, clamp=clamp))
            self.convs.append(StyledConv(outputs, outputs, dim, up=False, clamp=clamp))
            self.to_rgbs.append(ToRGB(outputs, dim, up=True, clamp=clamp, outputs=config.rgb))
        self.noises = nn.Module()
        for layer in range(config.layers):
            size = config.layer_size(layer)
            self.noises.register_buffer(f"noise_{layer}", torch.randn(1, 1, size, size))

    def mapping(self, z: Tensor) -> Tensor:
        """w (N, D) of z (N, D): pixel norm, then the mapping layers; no truncation."""
        w = z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8)
        for layer in self.style.values():
            w = layer(w)
        return w

    def broadcast(self, w: Tensor) -> Tensor:
        """Codes (N, L, D) of one w (N, D) for all rows."""
        return w[:, None].expand(-1, self.config.rows, -1)

    @torch.no_grad()
    def mean_latent(self, samples: int = 4096, *, seed: int = 0) -> Tensor:
        """Mean w (D,) over random z of a seeded stream."""
        random = torch.Generator().manual_seed(seed)
        z = torch.randn(samples, self.config.style_dim, generator=random)
        return self.mapping(z.to(self.input.input)).mean(0)

    def advance(
        self,
        state: State | None,
        codes: Tensor,
        stop: int | None = None,
        *,
        noise: Noise = "stored",
        offsets: Mapping[int, Tensor] | None = None,
        style_delta: StyleDelta | None = None,
    ) -> State:
        """Run layers `state.layer` .. `stop` - 1 (all that are left by default) with codes (N, L, D).

        `state` None starts at the learned constant. The RGB skip is carried along.
        `offsets`: layer -> relative change of its weights per image, (N, out, in, 3, 3) or (N, out, in, 1, 1)
        (HyperStyle).
        `style_delta`: layer -> (C,) or (N, C), added to that layer's style (StyleCLIP's global directions).
        """
        stop = self.config.layers if stop is None else stop
        if state is None:
            state = State(self.input.input.expand(len(codes), -1, -1, -1), None, 0)
        x, rgb = state.x, state.rgb
        for layer in range(state.layer, stop):
            conv = self.conv1 if layer == 0 else self.convs[layer - 1]
            changes = (offsets or {}).get(layer), (style_delta or {}).get(layer)
            x = conv(x, codes[:, layer], self._noise(layer, x, noise), *changes)
            if layer % 2 == 0:
                to_rgb = self.to_rgb1 if layer == 0 else self.to_rgbs[layer // 2 - 1]
                rgb = to_rgb(x, codes[:, layer + 1], rgb)
        return State(x, rgb, stop)

    def forward(self, codes: Tensor, *, noise: Noise = "stored", style_delta: StyleDelta | None = None) -> Tensor:
        """Images (N, 3, size, size), unbounded, nominal range [-1, 1], of codes (N, L, D)."""
        rgb = self.advance(None, codes, noise=noise, style_delta=style_delta).rgb
        assert rgb is not None
        return rgb

    def _noise(self, layer: int, x: Tensor, noise: Noise) -> Tensor | None:
        if not isinstance(noise, str):
            return noise[layer]
        if noise == "none":
            return None
        stored: Tensor = getattr(self.noises, f"noise_{layer}")
        return (
            stored if noise == "stored" else torch.randn(len(x), 1, *stored.shape[2:], device=x.device, dtype=x.dtype)
        )


@dataclass(frozen=True)
class Shifted:
    """A generator whose styles are moved, for whoever only advances it."""

    generator: Generator
    style_delta: StyleDelta

    def advance(self, state: State | None, codes: Tensor, stop: int | None = None) -> State:
        """As `Generator.advance`, with the styles moved."""
        return self.generator.advance(state, codes, stop, style_delta=self.style_delta)


Synthesis = Generator | Shifted
