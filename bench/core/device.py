"""Which device a command computes on."""

from __future__ import annotations

from bench.core.errors import MissingError, UsageError, unknown_name


def choose_device(name: str, local_rank: int = 0) -> str:
    """The device of "cpu", "cuda", "cuda:1", "mps", or "auto" for the best that is there, as torch names it.

    Args:
        local_rank: This process's place on its machine; picks the GPU where only "cuda" is asked for.

    Raises:
        UsageError: No such name, or more GPUs asked for than there are.
        MissingError: This machine has no such device.
    """
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(kind for kind, found in there.items() if found)
    kind, _, number = name.partition(":")
    if kind not in there or (number and not (kind == "cuda" and number.isdecimal())):
        raise unknown_name("device", name, ["auto", *there])
    if not there[kind]:
        raise MissingError(f"this machine has no {kind} device", "--device cpu, or leave --device out")
    if kind != "cuda":
        return name
    count = torch.cuda.device_count()
    if number and int(number) >= count:
        raise UsageError(f"there is no {name}: this machine has {count} GPUs", "count from cuda:0")
    return name if number else f"cuda:{local_rank % count}"


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the memory of the machine or of its GPU is used up; PyTorch has three ways to."""
    import torch

    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(words in str(error) for words in ("not enough memory", "can't allocate memory"))
