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
from torch.distributed.nn import functional as with_gradient

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

    def size_of_part(self, batch: int) -> int:
        """This process's images of a global batch. Raises UsageError where it cannot be divided."""
        if batch % self.count:
            raise UsageError(
                f"a batch of {batch} cannot be divided among {self.count} processes",
                "take a number of processes that divides the recipe's batch, or --set batch=N",
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
        wide = x.float()
        moments = torch.stack([wide.mean((0, 2, 3)), wide.square().mean((0, 2, 3))])
        mean, square = (with_gradient.all_reduce(moments) / processes).unbind(0)
        variance = (square - mean.square()).clamp_min(0)
        with torch.no_grad():
            count = x.numel() // x.shape[1] * processes
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / max(count - 1, 1), self.momentum)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked += 1
        scale = self.weight * torch.rsqrt(variance + self.eps)
        offset = self.bias - mean * scale
        return (wide * scale[:, None, None] + offset[:, None, None]).to(x.dtype)
