"""Fast copies of networks for training: what is frozen is prepared once, what is trained gets a bfloat16 working copy.

Activations stay in the copy's dtype (bfloat16 by default) and channels_last from end to end, weights are cast once,
batch norms are folded. Parameters that are trained, their gradients and their optimisers stay float32.
"""

from methods.training.frozen.activations import quicken
from methods.training.frozen.copies import WorkingCopy, frozen_copy, images_last, match_layout
from methods.training.frozen.discriminator import FastDiscriminator
from methods.training.frozen.generator import FastGenerator
from methods.training.frozen.networks import FastCritics, FastEncoder

__all__ = [
    "FastCritics",
    "FastDiscriminator",
    "FastEncoder",
    "FastGenerator",
    "WorkingCopy",
    "frozen_copy",
    "images_last",
    "match_layout",
    "quicken",
]
