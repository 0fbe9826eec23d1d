"""The shipped flow teacher: a GLU-Net on the world's images, from which WarpRes's flow was learned."""

from __future__ import annotations

from pathlib import Path

import torch

from bench.core.checkpoint import load_strict, read_checkpoint, state_dict_of, take
from bench.world.networks import WEIGHTS
from methods.nets.flow.network import FlowNet
from methods.warpres.presets import WORLD_FLOW, WORLD_PYRAMID

TEACHER = WEIGHTS / "teacher.safetensors"


def load_flow_teacher(path: Path = TEACHER, device: torch.device | str = "cpu") -> FlowNet:
    """The teacher, frozen and in eval mode; its flows are in pixels of the 64-px image. Raises MissingError."""
    teacher = FlowNet(WORLD_FLOW, WORLD_PYRAMID)
    load_strict(teacher, take(state_dict_of(read_checkpoint(path)), "teacher."), path.name)
    return teacher.eval().requires_grad_(False).to(device)
