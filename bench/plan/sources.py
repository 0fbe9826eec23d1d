"""Where a configuration's images come from: a folder, or the synthetic world with its networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.core.errors import MissingError, UsageError
from bench.plan.config import Config
from bench.plan.work import Need

if TYPE_CHECKING:
    from bench.core.contract import Dataset

SYNTHETIC = "synthetic"


def open_data(config: Config) -> Dataset:
    """The data set of a configuration."""
    data = config.data
    if data.name == SYNTHETIC:
        if data.root:
            raise UsageError(
                f"the synthetic world is drawn, it is not read from {data.root}",
                "name a preset with a data set, e.g. --preset paper-faces",
            )
        from bench.world import open_world

        world: Dataset = open_world(data.split, data.limit)
        return world
    from bench.data import kind_of, open_dataset

    kind_of(data.name)
    if not data.root:
        raise MissingError(f"the folder of the data set {data.name} is not given", "add --data DIR")
    return open_dataset(data.name, data.root, data.split, data.limit)


def planned_data(config: Config, needs: list[Need]) -> Dataset:
    """The data set, or where it is not (all) here a need and what can be told of it."""
    try:
        return open_data(config)
    except MissingError as error:
        from bench.data import expect_dataset, kind_of

        data = config.data
        source = f"{error.next_step}; {kind_of(data.name).source}" if not data.root else error.next_step
        needs.append(Need("data", data.name, error.what, source))
        return expect_dataset(data.name, data.root, data.split, data.limit)


def world_of(config: Config, device: str) -> Any:
    """The synthetic world's networks, where the images are the world's."""
    if config.data.name != SYNTHETIC:
        return None
    from bench.world.networks import load_world_networks

    return load_world_networks(device=device)
