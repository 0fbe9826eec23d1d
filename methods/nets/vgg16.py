"""VGG16 in the Keras convention: the network of the full-size perceptual loss ("styleres_training" card 3).

The file (`vgg16.pth`) is a bare state dict of all thirteen convolutions, `layer{i}` with i the place in the plain
sequence of convolutions, ReLUs and pools.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn
from torch.nn import functional as F

# Blue, green, red: what the Keras weights expect to be taken off an image in 0..255.
MEANS = (103.939, 116.779, 123.68)
_WIDTHS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


def _plan() -> Mapping[str, int]:
    """Name of a ReLU output -> place of its convolution: {"relu1_1": 0, "relu1_2": 2, "relu2_1": 5, ...}."""
    places, place = {}, 0
    for block, widths in enumerate(_WIDTHS, start=1):
        for index, _ in enumerate(widths, start=1):
            places[f"relu{block}_{index}"] = place
            place += 2
        place += 1
    return places


LAYERS = _plan()


class VGG16(nn.Module):
    """Images to feature maps, each right after its ReLU and before any pool.

    Args:
        layers: Names of ReLU outputs ("relu4_3"), shallow to deep.
        input_scale: What white is worth on the way in; 255 is the weights' own convention.
    """

    def __init__(self, layers: Sequence[str] = ("relu4_3",), *, input_scale: float = 255.0) -> None:
        super().__init__()
        self.layers, self.input_scale = tuple(layers), input_scale
        inputs = 3
        for place, width in zip(LAYERS.values(), (w for widths in _WIDTHS for w in widths), strict=True):
            self.add_module(f"layer{place}", nn.Conv2d(inputs, width, 3, padding=1))
            inputs = width

    def forward(self, images: Tensor) -> list[Tensor]:
        """Maps of float images (N, 3, h, w), RGB, nominally in [-1, 1]: (N, 512, h / 8, w / 8) for relu4_3."""
        means = images.new_tensor(MEANS)[:, None, None] * (self.input_scale / 255)
        x = (images.flip(1) + 1) * (self.input_scale / 2) - means
        found, last = [], max(LAYERS[name] for name in self.layers)
        for name, place in LAYERS.items():
            if place > last:
                break
            if name.endswith("_1") and place:
                x = F.max_pool2d(x, 2)
            x = F.relu(self.get_submodule(f"layer{place}")(x))
            if name in self.layers:
                found.append(x)
        return found
