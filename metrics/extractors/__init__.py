"""Feature extractors of the set metrics, by the names a protocol file uses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metrics.columns import Batch, Extractor, Resources


def feature_extractor(extractor: str, recipe: str, resources: Resources) -> Extractor:
    """The feature extractor of a Fréchet column: one float32 (D,) array an image.

    `extractor` is "inception-imagenet", "inception-fid" or "world", `recipe` how the first two are fed. Raises
    MissingError when the network is not there.
    """
    if extractor == "world":
        from metrics.synthetic import world_maps

        world = resources.need_world()
        return lambda batch: list(world.pooled(world_maps(world, batch)).float().cpu().numpy())
    path = resources.path(extractor)
    # torch-fidelity takes seconds to import; listing protocols does not need it.
    from .inception import load_extractor

    network = load_extractor(recipe, path).to(resources.device)

    def extract(batch: Batch) -> Sequence[np.ndarray]:
        return list(network(batch.uint8)[0].float().cpu().numpy())

    return extract
