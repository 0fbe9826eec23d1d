"""StyleGAN2's elementary rules (stylegan2 card, section 2): pure functions and two parameter holders.

Two ways to modulate, equal but for rounding. Where gradients are needed, or off the CPU, the activations are scaled:
`conv(x * s, W) * d` equals `conv(x, W * s * d)`, and one dense convolution serves the whole batch. For inference on
the CPU each image gets its own small weight tensor with everything folded in (style, demodulation, activation gain,
bias), so that no pass over the large activations is left but the noise and the leaky ReLU, both in place.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FIR = (1.0, 3.0, 3.0, 1.0)


def fir_kernel(gain: float = 1.0) -> Tensor:
    """The 4x4 FIR kernel, float32, sum `gain` (4 when it follows an up-sampling by 2)."""
    line = torch.tensor(FIR)
    return gain * torch.outer(line, line) / line.sum() ** 2


def fused_leaky_relu(x: Tensor, bias: Tensor | None = None) -> Tensor:
    """sqrt(2) * leaky_relu(x + bias, 0.2); bias is per channel (axis 1)."""
    if bias is not None:
        # In the activations' dtype: a float32 bias would make them float32 without a word.
        x = x + bias.view(1, -1, *([1] * (x.ndim - 2))).to(x.dtype)
    return F.leaky_relu(x, 0.2) * math.sqrt(2.0)


def fir_filter(x: Tensor, kernel: Tensor, pad: tuple[int, int], bias: Tensor | None = None) -> Tensor:
    """Filter every channel of (N, C, H, W) with the symmetric `kernel`; zero padding (before, after) on both axes."""
    channels, both = x.shape[1], min(pad)
    if pad[0] != pad[1]:
        x = F.pad(x, (pad[0] - both, pad[1] - both, pad[0] - both, pad[1] - both))
    # The convolution's own padding spares a copy of the map.
    return F.conv2d(x, kernel.to(x).expand(channels, 1, -1, -1), bias, padding=both, groups=channels)


def upsample_rgb(rgb: Tensor, kernel: Tensor) -> Tensor:
    """The skip's up-sampling by 2: zeros after each sample, FIR (gain 4), padding (2, 1)."""
    n, c, h, w = rgb.shape
    spread = rgb.new_zeros(n, c, h, 2, w, 2)
    spread[:, :, :, 0, :, 0] = rgb
    return fir_filter(spread.reshape(n, c, 2 * h, 2 * w), kernel, (2, 1))


class EqualLinear(nn.Module):
    """Equalized linear layer: y = x W^T * (m / sqrt(in)) + m * b, optionally with the fused leaky ReLU."""

    def __init__(
        self, inputs: int, outputs: int, *, lr_mul: float = 1.0, bias_init: float = 0.0, act: bool = False
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_mul)
        self.bias = nn.Parameter(torch.full((outputs,), bias_init))
        self.scale, self.lr_mul, self.act = lr_mul / math.sqrt(inputs), lr_mul, act

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        y = F.linear(x, self.weight * self.scale, self.bias * self.lr_mul)
        return fused_leaky_relu(y) if self.act else y


class _Kernel(nn.Module):
    """Holds a FIR kernel under the official name `<parent>.kernel`."""

    kernel: Tensor

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.register_buffer("kernel", fir_kernel(gain))


def _windows(x: Tensor, taps: int) -> Tensor:
    """Every taps x taps neighbourhood of (N, C, h, w), zeros outside: (N, C * taps * taps, h * w)."""
    around = F.pad(x, (taps // 2,) * 4).unfold(2, taps, 1).unfold(3, taps, 1)
    return around.permute(0, 1, 4, 5, 2, 3).reshape(len(x), -1, x.shape[2] * x.shape[3])


class ModulatedConv(nn.Module):
    """Modulated convolution (in -> out, k x k), optionally up-sampling by 2, optionally demodulated.

    forward: x (N, in, H, W), w (N, style_dim) -> (N, out, H or 2H, W or 2W).
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, style_dim: int, *, up: bool = False, demod: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, outputs, inputs, kernel, kernel))
        self.modulation = EqualLinear(style_dim, inputs, bias_init=1.0)
        self.scale, self.up, self.demod = 1 / math.sqrt(inputs * kernel * kernel), up, demod
        if up:
            self.blur = _Kernel(gain=4.0)

    def forward(
        self,
        x: Tensor,
        w: Tensor,
        offset: Tensor | None = None,
        *,
        bias: Tensor | None = None,
        gain: float = 1.0,
        shift: Tensor | None = None,
    ) -> Tensor:
        """gain * convolution + bias (out,).

        `offset` (N, out, in, k, k) or (N, out, in, 1, 1) makes the weight of each image W * (1 + offset); `shift`
        (in,) or (N, in) is added to the style.
        """
        style = self.modulation(w)
        if shift is not None:
            style = style + shift.to(style)
        if offset is None and not self._folds(x, style):
            y = self._scaled(x, style, gain)
            if bias is None:
                return y
            # Features stay in their dtype under autocast; RGB, which is not demodulated, becomes float32 here.
            return y + (bias.to(y.dtype) if self.demod else bias)[:, None, None]
        if offset is not None and not self._by_image(x, style, offset):
            return self._batched(x, style, offset, bias, gain)
        rows = [
            self._folded(x[i : i + 1], style[i], None if offset is None else offset[i], bias, gain)
            for i in range(len(x))
        ]
        return rows[0] if len(rows) == 1 else torch.cat(rows)

    def _folds(self, x: Tensor, style: Tensor) -> bool:
        """Whether to fold the style into the weights: where maps are large, on the CPU, without gradients."""
        gradients = torch.is_grad_enabled() and (x.requires_grad or style.requires_grad or self.weight.requires_grad)
        large = 4 * x.shape[-2] * x.shape[-1] >= self.weight[0, :, 0].numel()
        return x.device.type == "cpu" and large and not gradients

    @staticmethod
    def _by_image(x: Tensor, style: Tensor, offset: Tensor) -> bool:
        """Whether offsets are applied one image at a time: on the CPU without gradients, where memory counts."""
        gradients = torch.is_grad_enabled() and (x.requires_grad or style.requires_grad or offset.requires_grad)
        return x.device.type == "cpu" and not gradients

    def _batched(self, x: Tensor, style: Tensor, offset: Tensor, bias: Tensor | None, gain: float) -> Tensor:
        """As `_folded` for the whole batch, by batched products of matrices: a grouped convolution, a group an image,
        would be many small problems to a GPU.
        """
        weight = self.weight * (style * self.scale)[:, None, :, None, None] * (1 + offset)
        if self.demod:
            energy = weight.square().sum((2, 3, 4), keepdim=True)
            weight = weight * (gain * torch.rsqrt(energy + 1e-8))
        elif gain != 1:
            weight = weight * gain
        taps = weight.shape[-1]
        if self.up:
            spread = torch.bmm(weight.permute(0, 1, 3, 4, 2).flatten(1, 3), x.flatten(2))
            y = F.fold(spread, (2 * x.shape[2] + 1, 2 * x.shape[3] + 1), taps, stride=2)
            return fir_filter(y, self.blur.kernel, (1, 1), bias)
        y = torch.bmm(weight.flatten(2), _windows(x, taps)).unflatten(2, x.shape[2:])
        return y if bias is None else y + bias.to(y)[:, None, None]

    def _scaled(self, x: Tensor, style: Tensor, gain: float) -> Tensor:
        weight = self.weight[0] * (self.scale * gain)
        y = self._convolved(x * style.to(x.dtype)[:, :, None, None], weight, None)
        if not self.demod:
            return y
        energy = style.square() @ (weight / gain).square().sum((2, 3)).T
        return y * torch.rsqrt(energy + 1e-8).to(y.dtype)[:, :, None, None]

    def _folded(self, x: Tensor, style: Tensor, offset: Tensor | None, bias: Tensor | None, gain: float) -> Tensor:
        weight = self.weight[0] * (style * self.scale)[:, None, None]
        if offset is not None:
            weight = weight * (1 + offset)
        if self.demod:
            energy = weight.flatten(1).square().sum(1)
            weight = weight * (gain * torch.rsqrt(energy + 1e-8))[:, None, None, None]
        elif gain != 1:
            weight = weight * gain
        return self._convolved(x, weight, bias)

    def _convolved(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if not self.up:
            return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)
        y = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
        return fir_filter(y, self.blur.kernel, (1, 1), bias)
