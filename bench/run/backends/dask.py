"""Parts as tasks of a dask scheduler: the one at `run.scheduler`, or a cluster on this machine."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from distributed import Client, LocalCluster, as_completed
from distributed.comm.addressing import parse_address, parse_host_port
from distributed.comm.registry import backends
from distributed.scheduler import KilledWorker

from bench.core.cores import cores
from bench.core.errors import MissingError, UsageError
from bench.plan.config import Config
from bench.run.job import Progress, RemoteJob, count_made
from bench.run.shard import Shard

# A scheduler that is there answers at once.
CONNECT_SECONDS = 5.0


def check(config: Config) -> None:
    """Whether the scheduler's address is one, and something answers there."""
    address = config.run.scheduler
    if not address:
        return
    try:
        scheme, place = parse_address(address)
        host, port = ("", 0) if scheme == "inproc" else parse_host_port(place)
        if scheme not in backends or not 0 <= port < 1 << 16:
            raise ValueError
    except ValueError:
        raise UsageError(f"--scheduler {address!r} is no address of dask's", "--scheduler tcp://HOST:8786") from None
    if not host:
        return
    try:
        socket.create_connection((host, port), timeout=CONNECT_SECONDS).close()
    except (OSError, UnicodeError) as error:
        fault = f"nothing answers at --scheduler {address} ({error})"
        raise MissingError(fault, "start it with `dask scheduler`, or leave --scheduler out") from None


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
