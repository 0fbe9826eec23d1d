"""Feature extractors of the set metrics, by the name a protocol file uses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metrics.columns import Batch, Look, Tools


def feature_look(extractor: str, tools: Tools) -> Look:
    """The look of a Fréchet column: one float32 (D,) array a picture.

    `extractor` is "inception-imagenet", "inception-fid" or "world". Raises MissingError when its network is not there.
    """
    if extractor == "world":
        world = tools.need_world()
        return lambda batch: list(world.pooled(batch.signed).float().cpu().numpy())
    path = tools.path(extractor)
    # torch-fidelity takes seconds to import; listing protocols does not need it.
    from .inception import IMAGENET_NAME, ImageNetInception, fidelity_inception

    make = {
        "inception-imagenet": lambda: ImageNetInception(IMAGENET_NAME, ["2048"], path),
        "inception-fid": lambda: fidelity_inception(path),
    }
    network = make[extractor]().to(tools.device)

    def look(batch: Batch) -> Sequence[np.ndarray]:
        return list(network(batch.uint8)[0].float().cpu().numpy())

    return look
