"""Engines that run the parts of a run, chosen by name (`--backend`): the store is where the parts meet.

`local`: processes of this machine. `dask`: workers of a scheduler, or of a cluster on this machine. `slurm`: jobs of a
batch system, by submitit. torchrun's ranks and job arrays need none: each process finds its part in its environment.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any, Protocol

from bench.core.errors import MissingError, UsageError
from bench.plan.config import Config
from bench.run.job import Progress, RemoteJob
from bench.run.shard import Shard

EXTRAS = {"dask": "distributed", "slurm": "submitit"}


class Backend(Protocol):
    """What a module of this package offers as functions."""

    def check(self, config: Config) -> None:
        """Look at all that the configuration tells it. Raises UsageError or MissingError for what cannot work."""
        ...

    def parts(self, config: Config) -> int:
        """Into how many parts a run is cut where the configuration does not say."""
        ...

    def run(self, job: RemoteJob, shards: Sequence[Shard], config: Config, progress: Progress) -> list[dict[str, Any]]:
        """Do every part; returns what each gave back. Raises MissingError where one could not be done."""
        ...


def find_backend(name: str) -> Backend:
    """The backend "dask" or "slurm". Raises MissingError where its package is not installed."""
    try:
        import_module(EXTRAS[name])
    except ImportError:
        raise MissingError(
            f"the backend {name} needs the package {EXTRAS[name]}", f'pip install "warpres-bench[{name}]"'
        ) from None
    module: Any = import_module(f"bench.run.backends.{name}")
    backend: Backend = module
    return backend


def check_backend(config: Config, shard: Shard) -> None:
    """Refuse what a backend could not do, before anything else is done.

    Raises:
        UsageError: Options of one backend given to another, or a backend asked for within a part.
        MissingError: Its package is not installed, or what it would ask does not answer.
    """
    name = config.run.backend
    if config.run.scheduler and name != "dask":
        raise UsageError(f"--scheduler is of dask, the backend is {name}", "add --backend dask, or leave it out")
    if config.run.parts and name == "local":
        raise UsageError("--parts is of a backend", "add --backend dask or slurm; --part K/N does one part")
    if name == "local":
        return
    if shard.size > 1:
        raise UsageError(
            f"this is part {shard.rank + 1} of {shard.size} ({shard.source}), and --backend {name} makes parts itself",
            "--part all to do everything from here, or leave --backend out",
        )
    find_backend(name).check(config)


def run_parts(name: str, job: RemoteJob, count: int, progress: Progress) -> list[dict[str, Any]]:
    """Cut a run into `count` parts (0: as many as suit the backend) and do them all."""
    backend = find_backend(name)
    size = count or backend.parts(job.config)
    return backend.run(job, [Shard(rank, size) for rank in range(size)], job.config, progress)
