"""Parts as tasks of a dask scheduler: the one at `run.scheduler`, or a cluster on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from distributed import Client, LocalCluster, as_completed
from distributed.scheduler import KilledWorker

from bench.core.cores import cores
from bench.core.errors import MissingError
from bench.plan.config import Config
from bench.run.job import Progress, RemoteJob, count_made
from bench.run.shard import Shard


def parts(config: Config) -> int:
    """As many as there are workers; one a core on this machine."""
    if not config.run.scheduler:
        return len(cores())
    with Client(config.run.scheduler) as client:
        return max(1, len(client.scheduler_info()["workers"]))


def run(job: RemoteJob, shards: Sequence[Shard], config: Config, progress: Progress) -> list[dict[str, Any]]:
    """Do every part. Dask gives the part of a worker that died to another one, which carries on from its rows."""
    results = []
    with _client(config, len(shards)) as client:
        futures = client.map(job, shards, pure=False)
        try:
            for _, result in as_completed(futures, with_results=True):
                progress(count_made(result), "")
                results.append(result)
        except KilledWorker as error:
            raise MissingError(f"dask gave a part up: {error}", "run the same command again, it carries on") from None
        finally:
            client.cancel(futures)
    return results


@contextmanager
def _client(config: Config, count: int) -> Iterator[Client]:
    if config.run.scheduler:
        with Client(config.run.scheduler) as client:
            yield client
        return
    with (
        LocalCluster(n_workers=count, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        yield client
