"""The trained discriminator on bfloat16 activations: gains folded into the weights, cast once for a pass."""

from __future__ import annotations

import math
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from methods.nets.stylegan2 import Discriminator
from methods.training.frozen.copies import images_last

_GAIN = math.sqrt(2.0)
_GROUP = 4


class _Layer(NamedTuple):
    weight: Tensor
    bias: Tensor | None


class FastDiscriminator:
    """Another way through a `Discriminator`'s own float32 parameters; it has none itself.

    `weights()` casts them: with a gradient when the discriminator is trained, without when it only judges. One cast
    serves several passes.
    """

    def __init__(self, discriminator: Discriminator, dtype: torch.dtype = torch.bfloat16) -> None:
        self.discriminator, self.dtype = discriminator, dtype
        kernel = discriminator.get_buffer("convs.1.conv2.0.kernel")
        self.kernel = kernel.to(dtype)

    def weights(self, *, trained: bool) -> list[_Layer]:
        """The layers in the order of the pass, in `dtype`."""
        with torch.set_grad_enabled(trained):
            net = self.discriminator
            layers = [self._activated(net.convs[0])]
            for block in list(net.convs)[1:]:
                layers += [
                    self._activated(block.get_submodule("conv1")),
                    self._activated(block.get_submodule("conv2")),
                    # The block's 1 / sqrt(2) cancels the gain of its second convolution and is left to the skip.
                    _Layer(self._cast(block.get_submodule("skip.1"), 1 / _GAIN), None),
                ]
            return [*layers, self._activated(net.final_conv)]

    def __call__(self, images: Tensor, weights: list[_Layer] | None = None) -> Tensor:
        """Logits float32 (N, 1) of images (N, 3, S, S) in [-1, 1]; N must be a multiple of min(N, 4)."""
        first, *blocks, last = weights if weights is not None else self.weights(trained=False)
        x = _activate(F.conv2d(images_last(images, self.dtype), *first))
        for k in range(0, len(blocks), 3):
            x = self._block(x, *blocks[k : k + 3])
        x = _activate(F.conv2d(_with_deviation(x), *last, padding=1))
        return self.discriminator.final_linear(x.float().flatten(1))

    def _block(self, x: Tensor, conv1: _Layer, conv2: _Layer, skip: _Layer) -> Tensor:
        kernel = self.kernel.expand(x.shape[1], 1, -1, -1)
        y = _activate(F.conv2d(x, *conv1, padding=1))
        y = F.conv2d(y, kernel, padding=2, groups=x.shape[1])
        y = F.conv2d(y, *conv2, stride=2)
        # Blurred only where the skip looks.
        shortcut = F.conv2d(F.conv2d(x, kernel, stride=2, padding=1, groups=x.shape[1]), skip.weight)
        return torch.add(shortcut, _activate(y), alpha=1 / _GAIN)

    def _activated(self, layer: nn.Module) -> _Layer:
        """Convolution and bias of a layer, times the gain of its leaky ReLU."""
        parts = list(cast(nn.Sequential, layer))
        conv, activation = parts[-2], parts[-1]
        return _Layer(self._cast(conv, _GAIN), (cast(Tensor, activation.bias) * _GAIN).to(self.dtype))

    def _cast(self, conv: nn.Module, gain: float) -> Tensor:
        weight = cast(Tensor, conv.weight) * (cast(float, conv.scale) * gain)
        return images_last(weight, self.dtype)


def _activate(x: Tensor) -> Tensor:
    """In place of a convolution's output, which nobody else looks at: memory is what the largest maps cost."""
    return F.leaky_relu(x, 0.2, inplace=True)


def _with_deviation(x: Tensor) -> Tensor:
    """`minibatch_deviation` in float32 arithmetic: deviations of bfloat16 squares would be noise."""
    count, channels, height, width = x.shape
    group = min(count, _GROUP)
    grouped = x.float().reshape(group, count // group, channels * height * width)
    centred = grouped - grouped.mean(0, keepdim=True)
    deviation = torch.sqrt(centred.square().mean(0) + 1e-8).mean(1)
    extra = deviation.repeat(group)[:, None, None, None].expand(count, 1, height, width)
    return images_last(torch.cat((x, extra.to(x.dtype)), 1), x.dtype)
