"""Which of FeatureStyle's two files is which (feature_style card, section 2): told by content, in any order.

The encoder's file is a bare state dict whose names are the network's own; the generator comes inside a pSp checkpoint,
of which only the decoder and latent_avg are used.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.core.contract import Domain
from methods.checkpoint_parts import one_of_each
from methods.registry import Checkpoint

ENCODER, DECODER = "encoder.", "decoder."
# A pSp file reduced to its decoder is as good as the whole.
_PARTS = (("featurestyle's encoder",), ("psp", "a StyleGAN2 decoder without an encoder"))


def sort_files(checkpoints: Sequence[Checkpoint], domain: Domain) -> tuple[Checkpoint, Checkpoint]:
    """(the encoder's file, the generator's file). Raises MissingError naming the file that is neither."""
    encoder, generator = one_of_each(checkpoints, _PARTS, "featurestyle", domain)
    return encoder, generator
