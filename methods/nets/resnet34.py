"""ResNet-34 body without max-pool, as ReStyle's car encoder and HyperStyle's hypernetwork use it (restyle card 3b)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class ResNetConfig:
    """Sizes of the body. The default is the released 6-channel ResNet-34."""

    in_channels: int = 6
    widths: tuple[int, ...] = (64, 128, 256, 512)
    units: tuple[int, ...] = (3, 4, 6, 3)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with BatchNorm and ReLU, and the shortcut (torchvision's tensor names)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, h, w) -> (N, out, h / stride, w / stride), a ReLU after the sum."""
        shortcut = x if self.downsample is None else self.downsample(x)
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + shortcut)


class ResNetBody(nn.Module):
    """Base of the networks on it; they call `features`."""

    def __init__(self, config: ResNetConfig | None = None) -> None:
        super().__init__()
        config = config or ResNetConfig()
        self.resnet_config = config
        inputs = config.widths[0]
        self.conv1 = nn.Conv2d(config.in_channels, inputs, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(inputs)
        # The official name; it is a PReLU all the same.
        self.relu = nn.PReLU(inputs)
        blocks: list[nn.Module] = []
        for stage, (width, count) in enumerate(zip(config.widths, config.units, strict=True)):
            for index in range(count):
                blocks.append(BasicBlock(inputs, width, 2 if stage and index == 0 else 1))
                inputs = width
        self.body = nn.Sequential(*blocks)

    def features(self, x: Tensor) -> Tensor:
        """(N, in_channels, h, w) in [-1, 1] -> (N, widths[-1], h / 16, w / 16); odd sizes are rounded up."""
        return self.body(self.relu(self.bn1(self.conv1(x))))
