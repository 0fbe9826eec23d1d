"""Who does which images: one process does all, ranks and job arrays share them by groups."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from bench.core.errors import UsageError


@dataclass(frozen=True)
class Shard:
    """Part `rank` of `size`.

    Attributes:
        local_rank: Place on this machine; picks the GPU.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def name(self) -> str:
        """Name of the files this part writes."""
        return str(self.rank)

    def owns(self, group: int) -> bool:
        """Whether the group of images with that number is this part's."""
        return group % self.size == self.rank


def from_environment(environment: Mapping[str, str] | None = None) -> Shard:
    """The part this process does: torchrun's RANK and WORLD_SIZE, or a job array's task number; else everything.

    Raises UsageError when the numbers contradict each other.
    """
    env = os.environ if environment is None else environment
    if "WORLD_SIZE" in env or "RANK" in env:
        shard = Shard(_number(env, "RANK"), _number(env, "WORLD_SIZE"), _number(env, "LOCAL_RANK", 0))
    elif "SLURM_ARRAY_TASK_ID" in env:
        first = _number(env, "SLURM_ARRAY_TASK_MIN", 0)
        step = _number(env, "SLURM_ARRAY_TASK_STEP", 1)
        shard = Shard(
            (_number(env, "SLURM_ARRAY_TASK_ID") - first) // max(step, 1), _number(env, "SLURM_ARRAY_TASK_COUNT")
        )
    else:
        return Shard()
    if not 0 <= shard.rank < shard.size:
        raise UsageError(
            f"this is part {shard.rank} of {shard.size}: there is no such part", "check RANK and WORLD_SIZE"
        )
    return shard


def _number(env: Mapping[str, str], name: str, default: int | None = None) -> int:
    text = env.get(name, "")
    if not text and default is not None:
        return default
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"environment variable {name} is {text!r}, not a number", f"set or unset {name}") from None
