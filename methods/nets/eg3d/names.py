"""Tensor names of EG3D's released files in this house's names (eg3d card, sections 3 to 8).

Both networks of StyleGAN2 blocks are in NVIDIA's layout; the two super-resolution blocks take the place of a
generator's 8 and 16 px.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from torch import Tensor

Translate = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]


def sorted_tensors(official: Mapping[str, Tensor], translate: Translate) -> dict[str, Tensor]:
    """All tensors of `Eg3d`; names the layout does not know come back as they are, so that a strict load names them.

    Args:
        official: By the names of the file's G_ema.
        translate: NVIDIA's generator layout ("synthesis.b8.conv0.weight") to `Generator`'s names.
    """
    found: dict[str, Tensor] = {}
    blocks: dict[str, dict[str, Tensor]] = {"backbone.": {}, "superresolution.": {}}
    for name, value in official.items():
        if name.startswith("backbone.synthesis."):
            blocks["backbone."][name.removeprefix("backbone.")] = value
        elif match := re.match(r"superresolution\.block([01])\.(.*)", name):
            blocks["superresolution."][f"synthesis.b{8 << int(match[1])}.{match[2]}"] = value
        elif name == "backbone.mapping.w_avg":
            found["mapping.average"] = value
        else:
            found[name.removeprefix("backbone.")] = value
    for prefix, tensors in blocks.items():
        for name, value in translate(tensors).items():
            # Super-resolution runs without noise; the file has maps all the same.
            if prefix == "backbone." or not name.startswith("noises."):
                found[prefix + name] = value
    return found
