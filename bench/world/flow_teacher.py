"""The shipped flow teacher: a GLU-Net on the world's images, from which WarpRes's flow was learned."""

from __future__ import annotations

from pathlib import Path

import torch

from bench.core.checkpoint import load_strict, read_checkpoint, state_dict_of, take
from bench.world.networks import WEIGHTS
from methods.nets.flow.glunet import FlowConfig
from methods.nets.flow.network import FlowNet
from methods.nets.flow.vgg_pyramid import PyramidConfig

# 64-px images, 8 cells a side; WarpRes's flow head on the world has the shape of the teacher's.
WORLD_PYRAMID = PyramidConfig(widths=((16,), (32,), (64,), (96,)))
WORLD_FLOW = FlowConfig(
    picture=64,
    grid=8,
    channels=WORLD_PYRAMID.channels,
    decoder_widths=(48, 48, 40, 32, 24),
    refine_widths=(40, 40, 40, 32, 24, 24),
)

TEACHER = WEIGHTS / "teacher.safetensors"


def load_flow_teacher(path: Path = TEACHER, device: torch.device | str = "cpu") -> FlowNet:
    """The teacher, frozen and in eval mode; its flows are in pixels of the 64-px image. Raises MissingError."""
    teacher = FlowNet(WORLD_FLOW, WORLD_PYRAMID)
    load_strict(teacher, take(state_dict_of(read_checkpoint(path)), "teacher."), path.name)
    return teacher.eval().requires_grad_(False).to(device)
