"""Time methods at batch 1: invert + reconstruct, a second edit, each stage, and
what share of this machine's convolution peak that is.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.cli.parser import LIST
from bench.cli.plugin_option import add_plugin
from bench.cli.printing import tell
from bench.cli.run_command import checkpoints, names
from bench.core.arguments import whole
from bench.core.device import choose_device
from bench.core.domains import find_domain
from bench.core.errors import ExitCode, unknown_name
from bench.core.files import check_folder
from bench.core.text_table import aligned


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options: which methods, on what device, how many images."""
    parser.add_argument("--preset", help="whose methods and checkpoints (default: synthetic)")
    parser.add_argument("--methods", metavar=LIST, help="methods (default: the preset's)")
    parser.add_argument("--domain", metavar="NAME", help="faces or cars (default: the preset's)")
    parser.add_argument("--checkpoint", action="append", default=[], metavar="NAME=FILE", help="checkpoint of a method")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps")
    parser.add_argument("--threads", type=whole(1, 1024), metavar="N", help="threads of the CPU")
    parser.add_argument("--samples", type=whole(1), default=10, metavar="N", help="timed images a method (paper: 2000)")
    parser.add_argument("--warm-up", type=whole(0), default=20, metavar="N", help="most images before them")
    parser.add_argument("--bf16", action="store_true", help="bfloat16 autocast, with its deviation")
    parser.add_argument("--legacy-async", action="store_true", help="do not wait for the GPU (diagnosis only)")
    parser.add_argument("--into", type=Path, metavar="RUN", help="keep the times in a run's timing.json")
    add_plugin(parser)
    parser.add_argument("--json", action="store_true", help="the answer as JSON")


def run(options: argparse.Namespace) -> int:
    """Time methods at batch 1."""
    import torch

    from bench.plan.checkpoints import check_planned, load_planned
    from bench.plan.config import load_config
    from bench.plan.names import domain_of, spelled_out
    from bench.plan.plugins import load_plugins
    from bench.results.manifest import read_manifest
    from bench.timing.clock import cpu_name
    from bench.timing.harness import Settings, measure

    device = choose_device(options.device)
    if options.threads:
        torch.set_num_threads(options.threads)
    load_plugins(options.plugin)
    layer = {"methods": names(options.methods, "--methods"), "checkpoints": checkpoints(options.checkpoint)}
    given = {key: value for key, value in layer.items() if value}
    config = spelled_out(load_config(options.preset, command_line=given))
    domain = find_domain(options.domain or domain_of(config)).name
    if options.into:
        read_manifest(options.into)
        check_folder(options.into, "--into")
    for name in config.checkpoints:
        if name not in config.methods:
            raise unknown_name("method of --checkpoint", name, list(config.methods))
    for name in config.methods:
        check_planned(config, name, domain)
    methods = {}
    for name in config.methods:
        tell(f"loading {name}")
        methods[name] = load_planned(config, name, domain, device)
    settings = Settings(options.samples, options.warm_up, 3, options.bf16, options.legacy_async)
    cuda = device.startswith("cuda")
    hardware = torch.cuda.get_device_name(device) if cuda else cpu_name()
    result = {"hardware": hardware, "torch": torch.__version__} | measure(methods, device, settings, tell)
    if options.into:
        _keep(options.into, result)
    print(json.dumps(result) if options.json else table(result))
    return int(ExitCode.OK)


def _keep(folder: Path, result: dict[str, Any]) -> None:
    """Put the times beside the run's own, so that its page and the paper's runtime column show them."""
    from bench.timing.clock import read_timing, write_timing

    timing = read_timing(folder)
    for name, record in result["methods"].items():
        timing.setdefault("methods", {}).setdefault(name, {}).update(record)
    timing["device"] = result["hardware"]
    timing["harness"] = {key: value for key, value in result.items() if key != "methods"}
    write_timing(folder, timing)


def table(result: dict[str, Any]) -> str:
    """What `measure` found, with its hardware and torch version, as text."""
    peak = f"{result['peak_gmacs_fp32']:.0f}"
    threads = f"{result['threads']} thread{'s' if result['threads'] != 1 else ''}"
    lines = [f"{result['hardware']}, {threads}, torch {result['torch']}; peak {peak} GMAC/s fp32"]
    if "peak_gmacs_bf16" in result:
        lines[0] += f", {result['peak_gmacs_bf16']:.0f} bf16"
    rows = [("method", "median", "IQR", "2nd edit", "GMAC", "of peak", "memory"), *map(_row, result["methods"].items())]
    if not any(row[-1] for row in rows[1:]):
        rows = [row[:-1] for row in rows]
    head, *methods = aligned(rows, right=range(1, len(rows[0])))
    lines += ["median, IQR: one image inverted and reconstructed; of peak: GMAC / median / peak", "", head]
    for line, found in zip(methods, result["methods"].values(), strict=True):
        lines += [line, *(f"    {more}" for more in _details(found))]
    return "\n".join(lines)


def _row(item: tuple[str, Mapping[str, Any]]) -> tuple[str, ...]:
    name, found = item
    low, high = found["iqr"]
    return (
        name,
        _s(found["median"]),
        f"{_s(low)} - {_s(high)}",
        _s(found["second_edit"]["median"]),
        f"{found['gmacs']:.1f}",
        f"{found['efficiency']:.0%}",
        f"{found['peak_memory_bytes'] / 1e9:.1f} GB" if found["peak_memory_bytes"] else "",
    )


def _details(found: Mapping[str, Any]) -> Iterator[str]:
    """What stands below a method's line."""
    yield ", ".join(f"{stage} {_s(times['median'])}" for stage, times in found["stages"].items())
    if found["unsteady"]:
        yield "unsteady: the 90th percentile is more than 1.2 times the median"
    if "bf16_deviation" in found:
        off = found["bf16_deviation"]
        yield f"bf16 deviates by at most {off['max']:.4f}, {off['mean']:.5f} on average"


def _s(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"
