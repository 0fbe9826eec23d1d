"""Which of FeatureStyle's two files is which (feature_style card, section 2): told by content, in any order.

The encoder's file is a bare state dict whose names are the network's own; the generator comes inside a pSp checkpoint,
of which only the decoder and latent_avg are used.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.contract import Domain
from bench.weights.signature import expect, recognise
from methods.registry import Checkpoint

DECODER = "decoder."
_ENCODER = "featurestyle's encoder"
# A pSp file reduced to its decoder is as good as the whole.
_GENERATORS = ("psp", "a StyleGAN2 decoder without an encoder")


def sort_files(checkpoints: Sequence[Checkpoint], domain: Domain) -> tuple[Checkpoint, Checkpoint]:
    """(the encoder's file, the generator's file). Raises MissingError naming the file that is neither."""
    encoders = [file for file in checkpoints if recognise(file.content).fits(_ENCODER)]
    generators = [file for file in checkpoints if any(map(recognise(file.content).fits, _GENERATORS))]
    strangers = [file for file in checkpoints if not any(file is known for known in (*encoders, *generators))]
    if strangers or len(encoders) != 1:
        # One sentence about the file to replace: the strange one, or the second of two alike.
        wrong = (strangers or checkpoints)[-1]
        part = _GENERATORS[0] if encoders else _ENCODER
        expect(wrong.content, wrong.path, "featurestyle", domain, part=part)
    generator = generators[0]
    part = next(name for name in _GENERATORS if recognise(generator.content).fits(name))
    expect(generator.content, generator.path, "featurestyle", domain, part=part)
    return encoders[0], generator
