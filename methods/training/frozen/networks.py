"""The frozen base encoder and critics as fast copies with float32 results."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from methods.nets.pyramid import Encoded
from methods.training.bases import BaseEncoder
from methods.training.frozen.copies import frozen_copy, images_last
from methods.training.losses import Critics


class FastEncoder:
    """E_0 in eval mode on its fast copy."""

    def __init__(self, encoder: BaseEncoder, average: Tensor, dtype: torch.dtype = torch.bfloat16) -> None:
        self.network, self.average, self.dtype = frozen_copy(encoder, dtype), average, dtype

    def encode(self, images: Tensor, *, gradient: bool = False) -> Encoded:
        """Codes W float32 with the mean, and taps in the copy's dtype.

        `gradient`: let gradients through to the images (w-consistency, cycles through x'_i).
        """
        with torch.set_grad_enabled(gradient and torch.is_grad_enabled()):
            codes, taps = self.network.encode(images_last(images, self.dtype))
            return Encoded(codes.float() + self.average, taps)


class FastCritics:
    """Phi and A of the losses on their fast copies; the results are those of `losses.Critics`, float32."""

    def __init__(self, critics: Critics, dtype: torch.dtype = torch.bfloat16) -> None:
        self.describer, self.embedder = (frozen_copy(net, dtype) for net in (critics.describer, critics.embedder))
        self.dtype = dtype

    def features(self, images: Tensor) -> Sequence[Tensor]:
        """Feature maps of several layers, each of unit length per position."""
        maps = self.describer.maps(images_last(images, self.dtype))
        return [F.normalize(map_.float(), dim=1) for map_ in maps]

    def embed(self, images: Tensor) -> Tensor:
        """Unit identity embeddings (N, D)."""
        return F.normalize(self.embedder(images_last(images, self.dtype)).float(), dim=1)
