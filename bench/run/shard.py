"""Who does which images: one process does all, ranks and job arrays share them by groups."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.core.errors import UsageError


@dataclass(frozen=True)
class Shard:
    """Part `rank` of `size`.

    Attributes:
        local_rank: Place on this machine; picks the GPU.
        source: What says so, in words.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    source: str = field(default="", compare=False)

    @property
    def name(self) -> str:
        """Name of the files this part writes."""
        return str(self.rank)

    @property
    def words(self) -> str:
        """What is done and what says so, for the first line of a part."""
        what = f"this is part {self.rank + 1} of {self.size} ({self.source})"
        return f"{what}: one group of images in {self.size}; --part all does everything"

    def owns(self, group: int) -> bool:
        """Whether the group of images with that number is this part's."""
        return group % self.size == self.rank


def from_environment(environment: Mapping[str, str] | None = None, asked: str = "") -> Shard:
    """The part this process does: what is asked for, torchrun's RANK and WORLD_SIZE, a job array's task; else all.

    Args:
        asked: "all", or "2/3" for the second of three parts; over the environment, WARPRES_BENCH_PART included.

    Raises UsageError when the numbers contradict each other, or a sparse array does not tell a task's place in it.
    """
    env = os.environ if environment is None else environment
    if asked := asked or env.get("WARPRES_BENCH_PART", ""):
        return _asked(asked)
    if "WORLD_SIZE" in env or "RANK" in env:
        shard = Shard(_number(env, "RANK"), _number(env, "WORLD_SIZE"), _number(env, "LOCAL_RANK", 0), "RANK")
    elif "SLURM_ARRAY_TASK_ID" in env:
        shard = _of_array(env)
    else:
        return Shard()
    if not 0 <= shard.rank < shard.size:
        raise UsageError(
            f"this is part {shard.rank} of {shard.size}: there is no such part", "check RANK and WORLD_SIZE"
        )
    return shard


def _asked(text: str) -> Shard:
    if text.lower() == "all":
        return Shard()
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count) <= 10**6):
        raise UsageError(f"there is no part {text!r}", "--part all, or --part 2/3 for the second of three")
    return Shard(int(number) - 1, int(count), source="--part")


def _of_array(env: Mapping[str, str]) -> Shard:
    """The place of a task in its array. Its list is nowhere in the environment, only its ends and its length."""
    task, count = _number(env, "SLURM_ARRAY_TASK_ID"), _number(env, "SLURM_ARRAY_TASK_COUNT")
    first = _number(env, "SLURM_ARRAY_TASK_MIN", 0)
    last = _number(env, "SLURM_ARRAY_TASK_MAX", first + (count - 1) * _number(env, "SLURM_ARRAY_TASK_STEP", 1))
    step, rest = divmod(last - first, max(count - 1, 1))
    source = f"task {task} of a SLURM array"
    if task in (first, last):
        return Shard(0 if task == first else count - 1, count, source=source)
    if not rest and step and not (task - first) % step:
        return Shard((task - first) // step, count, source=source)
    if count == 3 and first < task < last:
        return Shard(1, count, source=source)
    raise UsageError(
        f"this is task {task} of an array of {count} tasks from {first} to {last}: which of them it is nobody says",
        f"give each its part, --part 1/{count} to --part {count}/{count}, or number the array from 0",
    )


def _number(env: Mapping[str, str], name: str, default: int | None = None) -> int:
    text = env.get(name, "")
    if not text and default is not None:
        return default
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"environment variable {name} is {text!r}, not a number", f"set or unset {name}") from None
