"""What a full-size training can do so far, on images kept from it."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from methods.training import losses
from methods.training.full_size.images import TrainingImages
from methods.training.full_size.passes import Edit, Passes
from methods.training.grids import grid

SHOWN = 4


@torch.no_grad()
def figures(passes: Passes, images: TrainingImages, device: torch.device, batch: int) -> dict[str, float]:
    """Means over the held-out images; {} where none are kept.

    "mse" and "identity" (cosine) of the reconstruction, "addition" (mean |F|) under an edit; with a flow
    "flow_to_teacher_cells", its mean distance to the teacher's under an edit, and "teacher_flow_cells", the length of
    that one.
    """
    sums: dict[str, float] = {}
    for real, codes, features, edit in _batches(passes, images, device, batch):
        for name, values in _measured(passes, real, codes, features, edit).items():
            sums[name] = sums.get(name, 0.0) + float(values.sum())
    return {name: float(f"{value / len(images.held_out):.5g}") for name, value in sums.items()}


def _measured(passes: Passes, real: Tensor, codes: Tensor, features: Tensor, edit: Edit) -> dict[str, Tensor]:
    """Figures of each image (N,)."""
    plain = Edit(torch.zeros_like(edit.delta), torch.zeros_like(edit.edited))
    made = passes.first(codes, features, plain).image
    embed = passes.networks.losses.embed
    found = {
        "mse": losses.pixel_loss(made.clamp(-1, 1), real),
        "identity": (embed(made) * embed(real)).sum(1),
    }
    moved = passes.first(codes, features, edit).rendered
    found["addition"] = losses.regulariser(moved.addition)
    if passes.networks.teacher is not None and moved.cells is not None:
        target = passes.teacher_cells(codes, edit)
        found["flow_to_teacher_cells"] = (moved.cells - target).square().sum(1).sqrt().mean((1, 2))
        found["teacher_flow_cells"] = target.square().sum(1).sqrt().mean((1, 2))
    return found


@torch.no_grad()
def samples(passes: Passes, images: TrainingImages, device: torch.device) -> dict[str, Tensor]:
    """A grid of held-out images, from the top: real; E_0's own, reconstruction; edited without and with residuals."""
    for real, codes, features, edit in _batches(passes, images, device, SHOWN):
        plain = Edit(torch.zeros_like(edit.delta), torch.zeros_like(edit.edited))
        generator = passes.networks.generator
        rows = [
            real,
            passes.small(generator(codes)),
            passes.first(codes, features, plain).image,
            passes.small(generator(codes + edit.delta)),
            passes.first(codes, features, edit).image,
        ]
        return {"held_out": grid(*rows)}
    return {}


def _batches(
    passes: Passes, images: TrainingImages, device: torch.device, batch: int
) -> Iterator[tuple[Tensor, Tensor, Tensor, Edit]]:
    """Real images, their codes, F_0 and an edit of each; the same at every call."""
    random = torch.Generator().manual_seed(0)
    low, high = passes.options.alpha
    for start in range(0, len(images.held_out), batch):
        real = images.kept(start, start + batch).to(device).float() / 127.5 - 1
        real = F.adaptive_avg_pool2d(real, passes.canvas.input_size)
        codes, features = passes.encode(real)
        z = torch.randn(len(real), codes.shape[2], generator=random).to(device)
        amount = torch.full((len(real),), (low + high) / 2, device=device)
        yield real, codes, features, passes.edit(codes, z, amount, torch.ones_like(amount, dtype=torch.bool))
