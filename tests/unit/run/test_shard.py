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


def _array(task: int, tasks: list[int]) -> dict[str, str]:
    ends = {"MIN": min(tasks), "MAX": max(tasks), "COUNT": len(tasks), "STEP": 1, "ID": task}
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in ends.items()}


@pytest.mark.parametrize("tasks", [[3, 7], [5], [1, 2, 9], [0, 10, 20, 30], [2, 3, 4]])
def test_sparse_arrays_share_everything(tasks: list[int]) -> None:
    shards = [from_environment(_array(task, tasks)) for task in tasks]
    assert [(shard.rank, shard.size) for shard in shards] == [(rank, len(tasks)) for rank in range(len(tasks))]
    assert f"task {tasks[0]} of a SLURM array" in shards[0].words and "--part all" in shards[0].words


def test_an_array_that_does_not_tell_is_refused_with_the_way_out() -> None:
    with pytest.raises(UsageError, match="nobody says") as error:
        from_environment(_array(2, [1, 2, 3, 100]))
    assert "--part 1/4" in error.value.next_step


@pytest.mark.parametrize(("asked", "expected"), [("all", Shard()), ("2/3", Shard(1, 3))])
def test_a_part_can_be_asked_for(asked: str, expected: Shard) -> None:
    array = _array(7, [3, 7])
    assert from_environment(array, asked) == expected
    assert from_environment({**array, "WARPRES_BENCH_PART": asked}) == expected


@pytest.mark.parametrize("asked", ["0/3", "4/3", "x", "1/", "/", "1/0", "-1/3"])
def test_parts_that_are_none(asked: str) -> None:
    with pytest.raises(UsageError, match="there is no part"):
        from_environment({}, asked)
