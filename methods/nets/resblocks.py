"""The residual block of StyleRes and WarpRes ("styleres" card, section 5)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class ResBlock(nn.Module):
    """Two 3x3 convolutions with a leaky ReLU (0.2) between, plus the input; no norm, no activation after the sum.

    The stride sits in the second convolution; where channels or size change, the shortcut is a 1x1 convolution without
    bias. Plain convolutions, PyTorch's initialisation. Tensor names are those of the released StyleRes file:
    `res_layer.0`, `res_layer.2`, `shortcut_layer.0`.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1) -> None:
        super().__init__()
        self.res_layer = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(channels_out, channels_out, 3, stride=stride, padding=1),
        )
        self.shortcut_layer: nn.Sequential | None = None
        if channels_in != channels_out or stride != 1:
            self.shortcut_layer = nn.Sequential(nn.Conv2d(channels_in, channels_out, 1, stride=stride, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, h, w) -> (N, out, h / stride, w / stride)."""
        shortcut = x if self.shortcut_layer is None else self.shortcut_layer(x)
        return self.res_layer(x) + shortcut

    def silence(self) -> None:
        """Make the block's output zero, whatever comes in: last convolution and shortcut at zero."""
        silent = [*self.res_layer[2].parameters(), *(self.shortcut_layer or nn.Identity()).parameters()]
        for parameter in silent:
            nn.init.zeros_(parameter)


def resize_aligned(x: Tensor, like: Tensor) -> Tensor:
    """x (N, C, h, w) at the size of `like`, bilinear with aligned corners."""
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=True)
