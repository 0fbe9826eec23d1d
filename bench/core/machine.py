"""What of a machine and of how a run is set up moves the last digits of its numbers."""

from __future__ import annotations

from collections.abc import Mapping

import torch


def machine_of(device: str, *, threads: int | None = None) -> dict[str, str]:
    """The kind of machine, part of every result's key: results of another kind are computed again, never mixed.

    Device type (and a GPU's compute capability), instruction set, threads of a network on the CPU, and torch's minor
    version. Two machines of one kind may still differ in the last digit; their results share a key.
    """
    kind = device.partition(":")[0]
    if kind == "cuda":
        kind += " sm_{}{}".format(*torch.cuda.get_device_capability(device))
    return {
        "device": kind,
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": str(torch.get_num_threads() if threads is None else threads),
        "torch": ".".join(torch.__version__.split(".")[:2]),
    }


def words(machine: Mapping[str, str]) -> str:
    """ "device cpu, instructions AVX2, threads 1, torch 2.9"."""
    return ", ".join(f"{name} {value}" for name, value in machine.items())
