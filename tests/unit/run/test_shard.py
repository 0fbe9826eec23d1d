"""Which process does which images."""

from __future__ import annotations

import pytest

from bench.core.errors import UsageError
from bench.run.shard import Shard, from_environment


def test_alone_does_everything() -> None:
    assert from_environment({}) == Shard(0, 1, 0)
    assert all(Shard().owns(group) for group in range(5))


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"RANK": "2", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}, Shard(2, 4, 1)),
        ({"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "4"}, Shard(3, 4)),
        ({"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_COUNT": "3", "SLURM_ARRAY_TASK_MIN": "1"}, Shard(0, 3)),
        (
            {"SLURM_ARRAY_TASK_ID": "8", "SLURM_ARRAY_TASK_COUNT": "5", "SLURM_ARRAY_TASK_MIN": "2",
             "SLURM_ARRAY_TASK_STEP": "2"},
            Shard(3, 5),
        ),
    ],
)  # fmt: skip
def test_ranks_and_job_arrays(environment: dict[str, str], expected: Shard) -> None:
    assert from_environment(environment) == expected


def test_every_group_has_one_owner() -> None:
    parts = [Shard(rank, 5) for rank in range(5)]
    assert [sum(part.owns(group) for part in parts) for group in range(17)] == [1] * 17


@pytest.mark.parametrize(
    "environment",
    [{"RANK": "4", "WORLD_SIZE": "4"}, {"RANK": "x", "WORLD_SIZE": "4"}, {"RANK": "0"}, {"SLURM_ARRAY_TASK_ID": "1"}],
)
def test_contradictions_are_refused(environment: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        from_environment(environment)
