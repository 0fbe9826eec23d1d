"""The world's flow teacher: a GLU-Net on images, trained on the world's exact flow.

The paper takes a released network that was trained by warp consistency, without true flow. Here true flow exists, so
the teacher is supervised by it (mean end-point error over visible points, at all four levels). Pairs are what it will
be asked about: a scene and the same scene part of the way to somebody else (as W_alpha is between W and W_r), or with
another yaw or smile alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.world.render import render
from bench.world.scene import FACE_FIELDS, Scene
from bench.world.truth import edited, true_flow
from methods.nets.flow.network import FlowNet, normalise
from methods.training.recipe import Recipe
from methods.training.task import Context, Task
from methods.training.world import batch_of_people, prefixed, write_part
from methods.warpres.presets import WORLD_FLOW, WORLD_PYRAMID

LEVEL_WEIGHTS = {"flow4": 0.2, "flow3": 0.2, "flow2": 0.3, "flow1": 1.0}


def build(recipe: Recipe, context: Context) -> TeacherTask:
    return TeacherTask(recipe, context)


def pairs(count: int, random: torch.Generator, split: str = "train") -> tuple[Scene, Scene]:
    """Source (unedited) and target (edited) scenes: half moved towards somebody else, half with another yaw or
    smile.
    """
    source, other = (batch_of_people(split, count, random) for _ in range(2))
    plain = torch.rand(count, generator=random) < 0.6  # generated images have no details
    source = Scene(torch.where(plain[:, None], source.without_details().values, source.values))
    faces = len(FACE_FIELDS)
    alpha = 0.4 + 0.1 * torch.rand(count, 1, generator=random)
    moved = torch.cat([source.values[:, :faces].lerp(other.values[:, :faces], alpha), source.values[:, faces:]], 1)
    yaw = 50 * torch.rand(count, generator=random) - 25
    smile = 1.6 * torch.rand(count, generator=random) - 0.8
    single = edited(edited(source, "yaw", yaw), "smile", smile * (torch.rand(count, generator=random) < 0.5))
    toward = torch.rand(count, generator=random) < 0.5
    return source, Scene(torch.where(toward[:, None], moved, single.values))


def end_point_loss(flow: Tensor, true: Tensor, visible: Tensor) -> Tensor:
    """Mean distance in pixels over visible points; flow (N, 2, h, w) in pixels of the 64-px image, truth at 64 px.

    A loss, not the column `flow_epe` (`metrics.flow.end_point_error`): the truth comes to each level's own grid, all
    pictures' points count alike, and the gradient is finite where the flow is exact.
    """
    size = (flow.shape[-2], flow.shape[-1])
    weight = F.adaptive_avg_pool2d(visible[:, None].float(), size)
    target = F.adaptive_avg_pool2d(true * visible[:, None], size) / weight.clamp_min(1e-3)
    distance = torch.sqrt((flow - target).square().sum(1, keepdim=True) + 1e-6)
    return (distance * (weight > 0.5)).sum() / (weight > 0.5).sum()


class TeacherTask(Task):
    """Trains a `FlowNet` whose head has the shape of WarpRes's, so that it can start from it as the paper's does."""

    def __init__(self, recipe: Recipe, context: Context) -> None:
        self.recipe, self.context = recipe, context
        self.network = FlowNet(WORLD_FLOW, WORLD_PYRAMID)
        self.modules: dict[str, nn.Module] = {"network": self.network}
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "network": torch.optim.AdamW(
                self.network.parameters(), lr=recipe.rate, betas=recipe.betas, weight_decay=1e-4
            )
        }

    def step(self, step: int, random: torch.Generator) -> Mapping[str, Tensor]:
        self.network.train()
        losses = self._losses(*pairs(self.recipe.batch, random))
        self.optimisers["network"].zero_grad(set_to_none=True)
        torch.stack([LEVEL_WEIGHTS[name] * value for name, value in losses.items()]).sum().backward()
        self.context.processes.average(self.network)
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimisers["network"].step()
        return losses

    def _losses(self, source: Scene, target: Scene) -> dict[str, Tensor]:
        truth = true_flow(source, target)
        images = normalise(render(Scene(torch.cat([target.values, source.values]))))
        flows = self.network(*images.chunk(2))
        return {name: end_point_loss(getattr(flows, name), truth.flow, truth.visible) for name in LEVEL_WEIGHTS}

    @torch.no_grad()
    def check(self) -> Mapping[str, float]:
        """End-point error in pixels on held-out pairs (val), and that of zero flow beside it."""
        self.network.eval()
        source, target = pairs(96, torch.Generator().manual_seed(0), "val")
        truth = true_flow(source, target)
        zero = end_point_loss(torch.zeros_like(truth.flow), truth.flow, truth.visible)
        return {
            "epe_px": round(float(self._losses(source, target)["flow1"]), 4),
            "epe_px_of_zero": round(float(zero), 4),
        }

    def export(self, path: Path, provenance: Mapping[str, Any]) -> None:
        write_part(path, "teacher", self.network.config, prefixed("teacher.", self.network), provenance, self.check())
