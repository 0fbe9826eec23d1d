"""The timing harness: how long a method takes for one image, stage by stage, and what share of the machine that is.

Rules (protocol card, section 6): inputs lie on the device beforehand, no edit in the first number, no disk, no decode;
the device's queue is empty before and after every sample; methods are interleaved, so that a slow minute hits them all.
Efficiency = multiply-accumulates / time / peak, and the peak is measured in the same run by one plain convolution.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from bench.core.contract import Method, listen
from bench.timing.clock import StageClock, peak_memory, reset_peak_memory, synchroniser

# The probe: 512 -> 512 channels, 3x3, 64x64, batch 1; its multiply-accumulates.
PROBE_MACS = 512 * 512 * 9 * 64 * 64
UNSTEADY = 1.2


@dataclass(frozen=True)
class Settings:
    """How to measure.

    Attributes:
        samples: Timed images a method.
        warm_up: Most images run before; it ends when the medians of two successive windows agree within 2 %.
        window: Images in such a window.
        bf16: Autocast to bfloat16; the deviation from float32 is measured as well.
        legacy_async: The host's clock without waiting for the device, as official scripts read it; for diagnosis.
    """

    samples: int = 10
    warm_up: int = 20
    window: int = 3
    bf16: bool = False
    legacy_async: bool = False
    seed: int = 0
    probe_size: int = 64


@dataclass
class Samples:
    """Seconds of one method's samples: invert + reconstruct, the edit after it, and each stage of the former."""

    whole: list[float] = field(default_factory=list)
    edit: list[float] = field(default_factory=list)
    stages: dict[str, list[float]] = field(default_factory=dict)


def measure(
    methods: dict[str, Method], device: str, settings: Settings, say: Callable[[str], None] = lambda text: None
) -> dict[str, Any]:
    """Time methods at batch 1; plain data, see `summary` for a method's part."""
    peak = probe_peak(device, torch.float32, size=settings.probe_size)
    result: dict[str, Any] = {
        "device": device,
        "threads": torch.get_num_threads(),
        "settings": vars(settings),
        "probe": f"convolution 512 -> 512, 3x3, {settings.probe_size} px, batch 1",
        "peak_gmacs_fp32": peak / 1e9,
    }
    if settings.bf16:
        peak = probe_peak(device, torch.bfloat16, size=settings.probe_size)
        result["peak_gmacs_bf16"] = peak / 1e9
    samples = {name: Samples() for name in methods}
    record: dict[str, dict[str, Any]] = {}
    with torch.inference_mode():
        for name, method in methods.items():
            say(f"warming up {name}")
            record[name] = _prepare(method, device, settings)
            if len(methods) > 1:
                record[name]["peak_memory_bytes"] = _memory_alone(methods, name, device)
        for index in range(settings.samples):
            for name, method in methods.items():
                say(f"{name}: sample {index + 1} of {settings.samples}")
                _sample(method, device, settings, index, samples[name])
    # Once more after the samples: a peak that moved means that something else used the machine.
    result["peak_gmacs_fp32_after"] = probe_peak(device, torch.float32, size=settings.probe_size) / 1e9
    result["methods"] = {name: record[name] | summary(samples[name], record[name]["gmacs"], peak) for name in methods}
    return result


def probe_peak(device: str, dtype: torch.dtype, *, size: int = 64, patience: float = 2.0) -> float:
    """Multiply-accumulates a second of one large convolution, the best of several and of two memory layouts.

    Args:
        size: Height and width of the image.
        patience: Seconds after which a layout has been tried often enough; each is timed at least once, warm.
    """
    wait = synchroniser(device)
    best = math.inf
    with torch.inference_mode():
        for layout in (torch.contiguous_format, torch.channels_last):
            image = torch.randn(1, 512, size, size).to(device, dtype, memory_format=layout)
            weight = torch.randn(512, 512, 3, 3).to(device, dtype, memory_format=layout)
            F.conv2d(image, weight, padding=1)
            until = time.perf_counter() + patience
            for _ in range(10):
                wait()
                start = time.perf_counter()
                F.conv2d(image, weight, padding=1)
                wait()
                end = time.perf_counter()
                best = min(best, end - start)
                if end > until:
                    break
    return PROBE_MACS * (size / 64) ** 2 / best


def summary(samples: Samples, gmacs: float, peak: float) -> dict[str, Any]:
    """Medians, spread and efficiency of a method's samples; times in seconds."""
    whole = np.array(samples.whole)
    low, middle, high = np.percentile(whole, [25, 50, 75])
    p10, p90, p99 = np.percentile(whole, [10, 90, 99])
    edit = float(np.median(samples.edit))
    return {
        "median": float(middle),
        "iqr": [float(low), float(high)],
        "mean": float(whole.mean()),
        "std": float(whole.std()),
        "p10": float(p10),
        "p90": float(p90),
        "p99": float(p99),
        "min": float(whole.min()),
        "pictures_per_second": float(1 / middle),
        "unsteady": bool(p90 / middle > UNSTEADY),
        "efficiency": gmacs * 1e9 / float(middle) / peak,
        "second_edit": {"median": edit, "share_of_first": edit / float(middle)},
        "stages": {name: {"median": float(np.median(times))} for name, times in samples.stages.items()},
    }


def _memory_alone(methods: Mapping[str, Method], name: str, device: str) -> int | None:
    """Peak memory less the other methods' weights; None on a CPU, whose peak is the process's, whoever it was."""
    used = peak_memory(device)
    if used is None or not device.startswith("cuda"):
        return None
    weights = {
        own: {tensor.data_ptr(): tensor.nbytes for tensor in (*method.parameters(), *method.buffers())}
        for own, method in methods.items()
        if isinstance(method, torch.nn.Module)
    }
    others = {place: size for own, found in weights.items() if own != name for place, size in found.items()}
    return used - sum(size for place, size in others.items() if place not in weights.get(name, {}))


def _prepare(method: Method, device: str, settings: Settings) -> dict[str, Any]:
    """Count, warm up, and measure memory: what is known of a method before the samples."""
    image = _image(method, device, settings.seed)
    reset_peak_memory(device)
    # What the first call alone does (ReStyle's average image) belongs to no image.
    method.edit(method.invert(image))
    with FlopCounterMode(display=False) as counter:
        exact = method.edit(method.invert(image))
    record: dict[str, Any] = {
        "gmacs": counter.get_total_flops() / 2e9,
        "parameters": sum(p.numel() for p in method.parameters()) if isinstance(method, torch.nn.Module) else None,
        "input_size": list(method.input_size),
        "output_size": list(method.output_size),
    }
    if settings.bf16:
        with _precision(device, settings):
            rough = method.edit(method.invert(image)).float()
        record["bf16_deviation"] = {
            "max": float((rough - exact).abs().max()),
            "mean": float((rough - exact).abs().mean()),
        }
    times: list[float] = []
    while len(times) < settings.warm_up and not _steady(times, settings.window):
        scratch = Samples()
        _sample(method, device, settings, len(times), scratch)
        times.append(scratch.whole[0])
    record["peak_memory_bytes"] = peak_memory(device)
    record["warm_up"] = {"pictures": len(times), "steady": _steady(times, settings.window)}
    return record


def _steady(times: Sequence[float], window: int) -> bool:
    if len(times) < 2 * window:
        return False
    before, after = np.median(times[-2 * window : -window]), np.median(times[-window:])
    return bool(abs(after - before) <= 0.02 * before)


def _sample(method: Method, device: str, settings: Settings, index: int, samples: Samples) -> None:
    """One image: invert and reconstruct, then one edit of the same inversion."""
    wait = (lambda: None) if settings.legacy_async else synchroniser(device)
    image = _image(method, device, settings.seed + index)
    clock = StageClock(wait)
    with _precision(device, settings):
        wait()
        start = time.perf_counter()
        with listen(stages=clock):
            inversion = method.invert(image)
            method.edit(inversion)
        wait()
        samples.whole.append(time.perf_counter() - start)
        delta = torch.full_like(inversion.codes, 0.05)
        wait()
        start = time.perf_counter()
        method.edit(inversion, delta)
        wait()
        samples.edit.append(time.perf_counter() - start)
    for name, seconds in clock.seconds.items():
        samples.stages.setdefault(name, []).append(seconds)


def _precision(device: str, settings: Settings) -> AbstractContextManager[Any]:
    kind = device.partition(":")[0]
    return torch.autocast(kind, torch.bfloat16) if settings.bf16 else nullcontext()


def _image(method: Method, device: str, seed: int) -> Tensor:
    """A smooth random image of the method's input size."""
    coarse = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, method.input_size, mode="bicubic").clamp(-1, 1).to(device)
