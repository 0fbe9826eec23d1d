"""Feature maps of images for the flow heads: VGG16's, or a small network's of that build ("flow" card, section 3)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from methods.nets.flow.glunet import Maps

VGG16_WIDTHS = ((64,), (64,), (128, 128), (256, 256, 256), (512, 512, 512))


@dataclass(frozen=True)
class PyramidConfig:
    """Build of a pyramid.

    Attributes:
        widths: Convolution widths level by level; every level but the first ends in a 2x2 max-pool. The last three
            levels' outputs are the fine, middle and coarse map.
        ceil_pool: Whether pooling keeps an odd last row (SemanticGLU-Net; no difference when sizes divide).
    """

    widths: tuple[tuple[int, ...], ...] = VGG16_WIDTHS
    ceil_pool: bool = False

    @property
    def channels(self) -> tuple[int, int, int]:
        """Of the coarse, middle and fine map."""
        return self.widths[-1][-1], self.widths[-2][-1], self.widths[-3][-1]


class Pyramid(nn.Module):
    """3x3 convolutions with ReLU and max-pools; tensors `level_K.J.weight|bias` as in the released flow files."""

    def __init__(self, config: PyramidConfig | None = None) -> None:
        super().__init__()
        self.config = config or PyramidConfig()
        channels = 3
        for level, widths in enumerate(self.config.widths):
            layers: list[nn.Module] = []
            for width in widths:
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
            if level:
                layers.append(nn.MaxPool2d(2, ceil_mode=self.config.ceil_pool))
            self.add_module(f"level_{level}", nn.Sequential(*layers))

    def forward(self, images: Tensor) -> Maps:
        """Maps of normalised images (N, 3, h, w), non-negative, after the pool: VGG16's at h / 16, h / 8, h / 4."""
        outputs = []
        for level in range(len(self.config.widths)):
            images = self.get_submodule(f"level_{level}")(images)
            outputs.append(images)
        return Maps(coarse=outputs[-1], middle=outputs[-2], fine=outputs[-3])
