"""StyleGAN2's elementary rules (stylegan2 card, section 2): pure functions and two parameter holders.

Modulation scales the activations, not the weights: `conv(x * s, W) * d` equals `conv(x, W * s * d)`, needs no per-picture
weight tensor and lets one dense convolution serve the whole batch.
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
        x = x + bias.view(1, -1, *([1] * (x.ndim - 2)))
    return F.leaky_relu(x, 0.2) * math.sqrt(2.0)


def fir_filter(x: Tensor, kernel: Tensor, pad: tuple[int, int]) -> Tensor:
    """Filter every channel of (N, C, H, W) with the symmetric `kernel`; zero padding (before, after) on both axes."""
    channels = x.shape[1]
    x = F.pad(x, (pad[0], pad[1], pad[0], pad[1]))
    return F.conv2d(x, kernel.to(x).expand(channels, 1, -1, -1), groups=channels)


def upsample_rgb(rgb: Tensor, kernel: Tensor) -> Tensor:
    """The skip's up-sampling by 2: zeros after each sample, FIR (gain 4), padding (2, 1)."""
    n, c, h, w = rgb.shape
    spread = rgb.new_zeros(n, c, h, 2, w, 2)
    spread[:, :, :, 0, :, 0] = rgb
    return fir_filter(spread.reshape(n, c, 2 * h, 2 * w), kernel, (2, 1))


class EqualLinear(nn.Module):
    """Equalized linear layer: y = x W^T * (m / sqrt(in)) + m * b, optionally with the fused leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, *, lr_mul: float = 1.0, bias_init: float = 0.0, act: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_mul)
        self.bias = nn.Parameter(torch.full((outputs,), bias_init))
        self.scale, self.lr_mul, self.act = lr_mul / math.sqrt(inputs), lr_mul, act

    def forward(self, x: Tensor) -> Tensor:
        y = F.linear(x, self.weight * self.scale, self.bias * self.lr_mul)
        return fused_leaky_relu(y) if self.act else y


class _Kernel(nn.Module):
    """Holds a FIR kernel under the official name `<parent>.kernel`."""

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.register_buffer("kernel", fir_kernel(gain))


class ModulatedConv(nn.Module):
    """Modulated convolution (in -> out, k x k), optionally up-sampling by 2, optionally demodulated.

    forward: x (N, in, H, W), w (N, style_dim) -> (N, out, H or 2H, W or 2W).
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, style_dim: int, *, up: bool = False, demod: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, outputs, inputs, kernel, kernel))
        self.modulation = EqualLinear(style_dim, inputs, bias_init=1.0)
        self.scale, self.up, self.demod = 1 / math.sqrt(inputs * kernel * kernel), up, demod
        if up:
            self.blur = _Kernel(gain=4.0)

    def forward(self, x: Tensor, w: Tensor, offset: Tensor | None = None) -> Tensor:
        """`offset` (N, out, in, k, k) or (N, out, in, 1, 1) makes the weight of each picture W * (1 + offset)."""
        if offset is not None:
            pictures = [self._forward(x[i : i + 1], w[i : i + 1], self.weight[0] * (1 + offset[i])) for i in range(len(x))]
            return torch.cat(pictures)
        return self._forward(x, w, self.weight[0])

    def _forward(self, x: Tensor, w: Tensor, weight: Tensor) -> Tensor:
        style = self.modulation(w)
        weight = weight * self.scale
        x = x * style[:, :, None, None]
        if self.up:
            x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
            x = fir_filter(x, self.blur.kernel, (1, 1))
        else:
            x = F.conv2d(x, weight, padding=weight.shape[-1] // 2)
        if self.demod:
            energy = style.square() @ weight.square().sum((2, 3)).T
            x = x * torch.rsqrt(energy + 1e-8)[:, :, None, None]
        return x
