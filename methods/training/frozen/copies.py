"""Copies of modules in another dtype: frozen ones with folded batch norms, and working copies of trained ones."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, Generic, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from methods.training.frozen.activations import quicken

Net = TypeVar("Net", bound=nn.Module)


def images_last(x: Tensor, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    """x (N, C, h, w) in a dtype and in channels_last order, as the copies want it."""
    return x.to(dtype, memory_format=torch.channels_last)


class _Affine(nn.Module):
    """A batch norm in eval mode that no convolution precedes: x * scale + shift, per channel."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        assert norm.running_mean is not None and norm.running_var is not None
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        self.register_buffer("scale", scale.detach()[None, :, None, None])
        self.register_buffer("shift", (norm.bias - norm.running_mean * scale).detach()[None, :, None, None])
        self.scale: Tensor
        self.shift: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.shift, x, self.scale)


def frozen_copy(module: Net, dtype: torch.dtype = torch.bfloat16) -> Net:
    """A frozen copy in eval mode: batch norms folded into the convolutions before them, tensors in `dtype`.

    Works on any module that keeps convolution and norm side by side in an `nn.Sequential`, as all of ours do. Feed it
    `images_last` of images. The original stays as it is.
    """
    frozen = copy.deepcopy(module).eval().requires_grad_(False)
    for part in list(frozen.modules()):
        if isinstance(part, nn.Sequential):
            _fold(part)
    # Weights of 1x1 convolutions and vectors have no channels_last of their own; `to` leaves them.
    return quicken(frozen).to(dtype).to(memory_format=torch.channels_last)


def _fold(chain: nn.Sequential) -> None:
    for k, layer in enumerate(chain):
        if not isinstance(layer, nn.BatchNorm2d):
            continue
        before = chain[k - 1] if k else None
        if isinstance(before, nn.Conv2d):
            chain[k - 1], chain[k] = fuse_conv_bn_eval(before, layer), nn.Identity()
        else:
            chain[k] = _Affine(layer)


class WorkingCopy(Generic[Net]):
    """A trained float32 module's copy in another dtype, on which the step runs.

    `pull` brings the module's weights over before a step, `push` adds the copy's gradients to the module's after
    `backward`.

    Attributes:
        net: The copy, for forward and backward passes.
    """

    def __init__(self, module: Net, dtype: torch.dtype = torch.bfloat16) -> None:
        self.net: Net = quicken(copy.deepcopy(module)).to(dtype).to(memory_format=torch.channels_last)
        self.net.requires_grad_(True)
        self._masters = list(module.parameters())
        self._copies = list(self.net.parameters())

    @torch.no_grad()
    def pull(self) -> Net:
        """The copy with the module's present weights and no gradients."""
        torch._foreach_copy_(cast(list[Tensor], self._copies), cast(list[Tensor], self._masters))
        for parameter in self._copies:
            parameter.grad = None
        return self.net

    @torch.no_grad()
    def push(self) -> None:
        """Give the module the copy's gradients, in the module's dtype and memory order."""
        for master, parameter in zip(self._masters, self._copies, strict=True):
            if parameter.grad is None:
                continue
            gradient = parameter.grad.to(master.dtype, memory_format=torch.contiguous_format)
            master.grad = gradient if master.grad is None else master.grad + gradient


@torch.no_grad()
def match_layout(parameters: Iterable[nn.Parameter]) -> None:
    """Bring gradients into their parameters' memory order; call before an optimiser steps.

    A convolution on channels_last activations leaves a channels_last gradient to a contiguous weight, and
    `Adam(fused=True)` reads both in memory order: on the CPU almost half of the signs come out wrong without a word.
    """
    for parameter in parameters:
        if parameter.grad is not None and parameter.grad.stride() != parameter.stride():
            parameter.grad = torch.empty_like(parameter).copy_(parameter.grad)


def load_optimiser(optimiser: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load an optimiser's moments from a checkpoint of any device. Raises ValueError where the groups are others.

    What the groups say stays as it is here: betas and factors of the rate are the recipe's of today, and how steps are
    computed (`fused`, `foreach`) is this device's. Moments take their parameters' memory order, for the reason of
    `match_layout`: a checkpoint of a GPU would otherwise turn on fused steps that misread it on the CPU.
    """
    saved, own = state["param_groups"], optimiser.param_groups
    if len(saved) != len(own):
        raise ValueError(f"its optimiser has {len(saved)} parameter groups, not {len(own)}")
    groups = [{**mine, "params": theirs["params"]} for mine, theirs in zip(own, saved, strict=True)]
    optimiser.load_state_dict({**state, "param_groups": groups})
    for parameter, moments in optimiser.state.items():
        for name, value in moments.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape and value.stride() != parameter.stride():
                moments[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
