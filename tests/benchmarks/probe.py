"""Time one method in a process of its own: `python -m tests.benchmarks.probe NAME DOMAIN FILE...` prints one JSON line.

Efficiency is multiply-accumulates / time / the convolution peak measured in the same run; times are the best of a few.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

from methods import load_method
from methods.autocast import Autocast
from methods.nets.macs import convolution_peak, count_macs


def best(run: Callable[[], Any], rounds: int = 3) -> float:
    """Least wall time of `rounds` calls, after one to warm up."""
    run()
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


@torch.inference_mode()
def measure(name: str, domain: Any, files: list[str], *, bf16: bool = False) -> dict[str, Any]:
    """Seconds, efficiency and peak memory of inverting, reconstructing and editing one picture."""
    method = load_method(name, domain=domain, checkpoint=files)
    image = torch.rand(1, 3, *method.input_size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    before = convolution_peak()
    inversion = method.invert(image)
    delta = torch.full(inversion.codes.shape[1:], 0.01)
    seconds = {
        "invert": best(lambda: method.invert(image)),
        "reconstruct": best(lambda: method.edit(inversion)),
        "edit": best(lambda: method.edit(inversion, delta)),
    }
    peak = max(before, convolution_peak())
    macs = count_macs(lambda: method.edit(method.invert(image)))
    first = seconds["invert"] + seconds["reconstruct"]
    result = {
        "method": name,
        "domain": domain,
        "threads": torch.get_num_threads(),
        "seconds": {key: round(value, 3) for key, value in seconds.items()},
        "gmacs": round(macs / 1e9, 1),
        "peak_gmacs_per_second": round(peak / 1e9, 1),
        "efficiency": round(macs / first / peak, 3),
        "second_edit_share": round(seconds["edit"] / first, 3),
        "peak_memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9, 2),
    }
    if bf16:
        cast = Autocast(method)
        largest, mean = cast.deviation(image)
        result["bf16"] = {
            "seconds": round(best(lambda: cast.edit(cast.invert(image)), 1), 3),
            "largest_deviation": round(largest, 4),
            "mean_deviation": round(mean, 5),
        }
    return result


def main() -> None:
    arguments = [argument for argument in sys.argv[1:] if argument != "--bf16"]
    print(json.dumps(measure(arguments[0], arguments[1], arguments[2:], bf16="--bf16" in sys.argv)))


if __name__ == "__main__":
    main()
