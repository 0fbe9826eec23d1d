"""EG3D's tri-plane generator: planes from codes, a volume renderer, super-resolution (eg3d card)."""

from methods.nets.eg3d.generator import Eg3d, Eg3dConfig, Rendered
from methods.nets.eg3d.render import Draws, RenderConfig

__all__ = ["Draws", "Eg3d", "Eg3dConfig", "RenderConfig", "Rendered"]
