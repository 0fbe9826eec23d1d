"""The frozen generator, fast: styles of all layers in one product, weights cast once, noise and bias in one map."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from methods.nets.stylegan2 import Generator, State
from methods.nets.stylegan2.generator import StyledConv, ToRGB
from methods.nets.stylegan2.layers import ModulatedConv, upsample_rgb
from methods.training.frozen.styled import StyledWeights, styled

_GAIN = math.sqrt(2.0)


@dataclass(frozen=True)
class Styles:
    """What the codes (N, L, D) make of the layers, ready to multiply.

    Attributes:
        scale: Per convolution layer: factors of its input channels (N, C, 1, 1).
        demodulation: Per convolution layer: factors of its output channels (N, C, 1, 1).
        rgb: Per to-RGB: factors of its input channels (N, C, 1, 1).
    """

    scale: tuple[Tensor, ...]
    demodulation: tuple[Tensor, ...]
    rgb: tuple[Tensor, ...]

    def __getitem__(self, rows: slice) -> Styles:
        return Styles(*(tuple(part[rows] for part in parts) for parts in (self.scale, self.demodulation, self.rgb)))

    @staticmethod
    def cat(first: Styles, second: Styles) -> Styles:
        """The styles of both, one batch after the other."""
        pairs = zip(
            (first.scale, first.demodulation, first.rgb), (second.scale, second.demodulation, second.rgb), strict=True
        )
        return Styles(*(tuple(torch.cat(both) for both in zip(*parts, strict=True)) for parts in pairs))


class _Stack(nn.Module):
    """Linear maps of different output widths, applied to one row of the codes each, in one padded product."""

    def __init__(self, layers: list[ModulatedConv], rows: slice, weights_too: bool) -> None:
        super().__init__()
        self.rows, self.widths = rows, [layer.weight.shape[2] for layer in layers]
        widest, first = max(self.widths), layers[0].modulation.weight
        weight = first.new_zeros(len(layers), first.shape[1], widest, dtype=torch.float32)
        bias = weight.new_zeros(len(layers), 1, widest)
        for k, layer in enumerate(layers):
            modulation = layer.modulation
            weight[k, :, : self.widths[k]] = (modulation.weight * modulation.scale).T.detach()
            bias[k, 0, : self.widths[k]] = (modulation.bias * modulation.lr_mul).detach()
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)
        self.outputs = [layer.weight.shape[1] for layer in layers]
        if weights_too:
            energy = weight.new_zeros(len(layers), widest, max(self.outputs))
            for k, layer in enumerate(layers):
                squares = (layer.weight[0] * layer.scale).square().sum((2, 3)).T.detach()
                energy[k, : self.widths[k], : self.outputs[k]] = squares
            self.register_buffer("energy", energy)
        self.weight: Tensor
        self.bias: Tensor
        self.energy: Tensor

    def scales(self, codes: Tensor) -> Tensor:
        """(K, N, widest) float32."""
        return torch.baddbmm(self.bias, codes[:, self.rows].transpose(0, 1), self.weight)

    def demodulations(self, scales: Tensor) -> Tensor:
        """(K, N, most outputs) float32."""
        return torch.rsqrt(torch.bmm(scales.square(), self.energy) + 1e-8)


class FastGenerator(nn.Module):
    """A frozen `Generator` for training: the same chain of layers and the same maths, another order of operations.

    Codes are float32; features come out in `dtype`, RGB in float32. Differentiable in the features and in the codes,
    never in the weights. Per-image weight offsets are not for this copy.
    """

    def __init__(self, generator: Generator, dtype: torch.dtype = torch.bfloat16) -> None:
        super().__init__()
        self.config, self.dtype = generator.config, dtype
        convs = [generator.conv1, *(cast(StyledConv, conv) for conv in generator.convs)]
        rgbs = [generator.to_rgb1, *(cast(ToRGB, rgb) for rgb in generator.to_rgbs)]
        self._conv_styles = _Stack([conv.conv for conv in convs], slice(self.config.layers), True)
        self._rgb_styles = _Stack([rgb.conv for rgb in rgbs], slice(1, None, 2), False)
        self.mapping = generator.mapping
        self._keep("const", generator.input.input)
        for k, conv in enumerate(convs):
            self._keep_conv(k, conv, getattr(generator.noises, f"noise_{k}"))
        for k, rgb in enumerate(rgbs):
            self._keep(f"rgb_weight_{k}", rgb.conv.weight[0] * rgb.conv.scale)
            self.register_buffer(f"rgb_bias_{k}", rgb.bias.detach().float().clone())
        self.register_buffer("upsampler", rgbs[-1].upsample.kernel.detach().float().clone())

    def _keep(self, name: str, value: Tensor) -> None:
        value = value.detach().clone().to(self.dtype)
        self.register_buffer(name, value.contiguous(memory_format=torch.channels_last))

    def _keep_conv(self, layer: int, conv: StyledConv, noise: Tensor) -> None:
        weight = conv.conv.weight[0] * (conv.conv.scale * _GAIN)
        self._keep(f"weight_{layer}", weight.transpose(0, 1) if conv.conv.up else weight)
        added = noise * (conv.noise.weight * _GAIN) + (conv.activate.bias * _GAIN)[None, :, None, None]
        self._keep(f"added_{layer}", added)
        if conv.conv.up:
            self._keep(f"blur_{layer}", conv.conv.blur.kernel.expand(weight.shape[0], 1, -1, -1))

    def styles(self, codes: Tensor) -> Styles:
        """Factors of all layers for codes (N, L, D)."""
        scales = self._conv_styles.scales(codes)
        demodulations = self._conv_styles.demodulations(scales)
        rgb = self._rgb_styles.scales(codes).to(self.dtype)[..., None, None]
        scales, demodulations = scales.to(self.dtype)[..., None, None], demodulations.to(self.dtype)[..., None, None]
        stack = self._conv_styles
        return Styles(
            tuple(scales[k, :, :width] for k, width in enumerate(stack.widths)),
            tuple(demodulations[k, :, :width] for k, width in enumerate(stack.outputs)),
            tuple(rgb[k, :, :width] for k, width in enumerate(self._rgb_styles.widths)),
        )

    def advance(self, state: State | None, codes: Tensor | Styles, stop: int | None = None) -> State:
        """Run layers `state.layer` .. `stop` - 1, as `Generator.advance` does; styles may be handed in ready."""
        styles = self.styles(codes) if isinstance(codes, Tensor) else codes
        if state is None:
            state = State(self.get_buffer("const").expand(len(styles.rgb[0]), -1, -1, -1), None, 0)
        x, rgb = state.x, state.rgb
        stop = self.config.layers if stop is None else stop
        for layer in range(state.layer, stop):
            x = self._conv(layer, x, styles)
            if layer % 2 == 0:
                rgb = self._rgb(layer // 2, x, styles.rgb[layer // 2], rgb)
        return State(x, rgb, stop)

    def forward(self, codes: Tensor | Styles) -> Tensor:
        """Images float32 (N, 3, size, size), nominal range [-1, 1], unbounded."""
        rgb = self.advance(None, codes).rgb
        assert rgb is not None
        return rgb

    def _conv(self, layer: int, x: Tensor, styles: Styles) -> Tensor:
        blur = self.get_buffer(f"blur_{layer}") if layer % 2 else None
        weights = StyledWeights(
            self.get_buffer(f"weight_{layer}"), blur, self.get_buffer(f"added_{layer}"), self.config.clamp
        )
        return styled(x, styles.scale[layer], styles.demodulation[layer], weights)

    def _rgb(self, index: int, x: Tensor, style: Tensor, skip: Tensor | None) -> Tensor:
        # A small weight for each image spares two passes over the features, and two more on the way back.
        weight = self.get_buffer(f"rgb_weight_{index}")[:, :, 0, 0] * style[:, None, :, 0, 0]
        rgb = torch.bmm(weight, x.flatten(2)).unflatten(2, x.shape[2:]).float()
        rgb = rgb + self.get_buffer(f"rgb_bias_{index}")
        if self.config.clamp is not None:
            rgb = rgb.clamp(-self.config.clamp, self.config.clamp)
        return rgb if skip is None else rgb + upsample_rgb(skip, self.get_buffer("upsampler"))
