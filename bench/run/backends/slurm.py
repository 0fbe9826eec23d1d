"""Parts as jobs of a batch system, by submitit: submits them, waits, and submits again what was ended from outside."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import submitit

from bench.core.errors import MissingError, UsageError
from bench.plan.config import Config
from bench.run.job import Progress, RemoteJob, count_made
from bench.run.shard import Shard

# How often a part is submitted; it carries on from its rows.
TRIES = 3


def check(config: Config) -> None:
    """Whether the cluster is here, and submitit knows the parameters."""
    try:
        with TemporaryDirectory() as folder:  # submitit makes it
            _executor(config, Path(folder))
    except RuntimeError as error:  # no such system on this machine
        raise MissingError(
            f"run.cluster = {config.run.cluster!r}: {error}", 'cluster = "local" tries it here'
        ) from None
    except (ValueError, NameError, AssertionError, TypeError) as error:
        raise UsageError(
            f"[run.slurm] or run.cluster: {str(error).splitlines()[0]}", "submitit's parameters: docs/clusters.md"
        ) from None


def parts(config: Config) -> int:
    """Four, for want of a better number."""
    del config
    return 4


def settings(config: Config) -> dict[str, Any]:
    """submitit's parameters: a day for a part, unless the config says otherwise."""
    return {"name": config.run_name(), "timeout_min": 24 * 60, **config.run.slurm}


def _executor(config: Config, folder: Path) -> submitit.AutoExecutor:
    executor = submitit.AutoExecutor(folder=folder, cluster=config.run.cluster or None)
    executor.update_parameters(**settings(config))
    return executor


def run(job: RemoteJob, shards: Sequence[Shard], config: Config, progress: Progress) -> list[dict[str, Any]]:
    """Do every part as a job of its own; logs lie in the run's folder `jobs`."""
    executor = _executor(config, job.folder / "jobs")
    results: list[dict[str, Any]] = []
    left, reason = list(shards), ""
    for _ in range(TRIES):
        submitted = list(zip(left, executor.map_array(job, left), strict=True))
        left = []
        for shard, part in submitted:
            error = part.exception()
            if error is not None:
                left.append(shard)
                reason = str(error).strip().splitlines()[-1]
                continue
            result = part.result()
            progress(count_made(result), "")
            results.append(result)
        if not left:
            return results
    raise MissingError(
        f"{len(left)} of {len(shards)} parts were not done: {reason}", f"their logs are in {job.folder / 'jobs'}"
    )
