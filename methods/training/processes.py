"""Several processes on one training (torchrun): each takes its share of every batch, gradients are averaged.

With one process everything here does nothing. `part` gives rank r the rows r, r + count, ...: then the groups of the
discriminator's minibatch deviation (image j with j + N / group, ...) lie whole in one process, and a step computes
what one process would have computed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.distributed.nn import functional as with_gradient
from torch.nn import functional as F

from bench.core.errors import UsageError


@dataclass(frozen=True)
class Processes:
    """This process's rank among `count`."""

    rank: int = 0
    count: int = 1

    @classmethod
    def join(cls, device: torch.device) -> Processes:
        """The processes that torchrun started (NCCL on CUDA, else gloo); a single one without torchrun."""
        count = int(os.environ.get("WORLD_SIZE", 1))
        if count == 1:
            return cls()
        if not distributed.is_initialized():
            distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        return cls(distributed.get_rank(), count)

    def leave(self) -> None:
        """Part from the others; does nothing alone."""
        if self.count > 1 and distributed.is_initialized():
            distributed.destroy_process_group()

    def size_of_part(self, batch: int, of: str = "a batch") -> int:
        """This process's images of a global batch, or of a part `of` it. Raises UsageError if it cannot be divided."""
        if batch % self.count:
            raise UsageError(
                f"{of} of {batch} cannot be divided among {self.count} processes",
                "take a number of processes that divides it, or --set batch=N",
            )
        return batch // self.count

    def part(self, values: Tensor) -> Tensor:
        """This process's rows of a global batch (N, ...): every `count`-th, so (N / count, ...)."""
        self.size_of_part(len(values))
        return values[self.rank :: self.count]

    def average(self, *modules: nn.Module) -> None:
        """Average the gradients of modules over the processes, in place; call between backward and step."""
        if self.count == 1:
            return
        gradients = [p.grad for module in modules for p in module.parameters() if p.grad is not None]
        if not gradients:
            return
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        flat /= self.count
        for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def broadcast(self, *modules: nn.Module) -> None:
        """Give all processes rank 0's parameters and buffers."""
        if self.count == 1:
            return
        for module in modules:
            for tensor in module.state_dict().values():
                distributed.broadcast(tensor, 0)

    def total(self, value: Tensor) -> Tensor:
        """Sum of a tensor over the processes, without a gradient (what a loss that is a ratio divides by)."""
        if self.count == 1:
            return value.detach()
        summed = value.detach().clone()
        distributed.all_reduce(summed)
        return summed

    def gather(self, values: Tensor) -> Tensor:
        """All processes' rows (N, ...) of their parts, with a gradient; in the order of the ranks, not of the batch."""
        return values if self.count == 1 else torch.cat(with_gradient.all_gather(values.contiguous()))

    def mean(self, values: Mapping[str, float], device: torch.device) -> dict[str, float]:
        """Means over the processes of numbers that all have by the same names."""
        if self.count == 1 or not values:
            return dict(values)
        summed = self.total(torch.tensor(list(values.values()), device=device))
        return dict(zip(values, (summed / self.count).tolist(), strict=True))

    def any(self, flag: bool, device: torch.device) -> bool:
        """Whether a flag is set in any process, so that all stop at the same step."""
        if self.count == 1:
            return flag
        return bool(self.total(torch.tensor(float(flag), device=device)) > 0)

    def wait(self) -> None:
        """Until all processes are here."""
        if self.count > 1:
            distributed.barrier()

    def share_statistics(self, *modules: nn.Module) -> None:
        """Let batch norms take mean and variance over the global batch, as one process would; in place."""
        if self.count == 1:
            return
        for module in modules:
            for layer in module.modules():
                if type(layer) is nn.BatchNorm2d:
                    layer.__class__ = SharedBatchNorm


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch norm whose training statistics are those of all processes' rows (on any backend, unlike SyncBatchNorm)."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) -> the same; gradients flow through the shared statistics. In eval mode nothing is shared."""
        if not self.training:
            return super().forward(x)
        assert self.running_mean is not None and self.running_var is not None and self.momentum is not None
        processes = distributed.get_world_size()
        mean, variance = _shared_moments(x, processes)
        with torch.no_grad():
            count = x.numel() // x.shape[1] * processes
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / max(count - 1, 1), self.momentum)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked += 1
        made: Tensor = _Normalised.apply(x, self.weight, self.bias, mean, variance, self.eps)
        return made


@torch.no_grad()
def _shared_moments(x: Tensor, processes: int) -> tuple[Tensor, Tensor]:
    """Mean and variance, float32 (C,) each, over the rows (N, C, h, w) of all processes."""
    wide = x.float()
    moments = torch.stack([wide.mean((0, 2, 3)), wide.square().mean((0, 2, 3))])
    distributed.all_reduce(moments)
    mean, square = (moments / processes).unbind(0)
    return mean, (square - mean.square()).clamp_min(0)


class _Normalised(torch.autograd.Function):
    """Normalise by moments of all processes' rows: one kernel each way, where written out it is a dozen passes."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, eps: float
    ) -> Tensor:
        ctx.save_for_backward(x, weight, mean, variance)
        ctx.eps = eps  # type: ignore[attr-defined]
        return F.batch_norm(x, mean, variance, weight, bias, eps=eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, variance = ctx.saved_tensors  # type: ignore[attr-defined]
        eps = ctx.eps  # type: ignore[attr-defined]
        inverse = torch.rsqrt(variance + eps)
        # As if the moments were constants ...
        of_x, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            gradient, x, weight, mean, variance, mean, inverse, False, eps, [True, True, True]
        )
        # ... and what flows through them, of all processes' losses.
        sums = torch.stack([of_weight, of_bias])
        distributed.all_reduce(sums)
        slope, offset = weight * inverse * sums / (x.numel() // x.shape[1] * distributed.get_world_size())
        slope = slope * inverse
        through = torch.addcmul((offset - slope * mean)[:, None, None], x, slope[:, None, None])
        return of_x.sub_(through.to(of_x.dtype)), of_weight, of_bias, None, None, None
