"""Dense flow networks: GLU-Net heads of Warp Consistency, their blocks and image pyramids ("flow" card)."""

from methods.nets.flow.glunet import FlowConfig, FlowHead, Flows
from methods.nets.flow.network import FlowNet, build_head, estimate_flow
from methods.nets.flow.vgg_pyramid import Pyramid, PyramidConfig
from methods.nets.flow.warp import warp

__all__ = [
    "FlowConfig",
    "FlowHead",
    "FlowNet",
    "Flows",
    "Pyramid",
    "PyramidConfig",
    "build_head",
    "estimate_flow",
    "warp",
]
