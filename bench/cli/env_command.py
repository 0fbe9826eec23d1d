"""Versions, devices and folders: what to send along with a question."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
from pathlib import Path
from typing import Any

from bench.core.text_table import aligned


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options: nothing but --json."""
    parser.add_argument("--json", action="store_true", help="the answer as JSON")


def run(options: argparse.Namespace) -> int:
    """Say what numbers and times depend on here."""
    found = environment()
    if options.json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        print("\n".join(aligned([(name, str(value)) for name, value in found.items()])))
    return 0


def environment() -> dict[str, Any]:
    """Name -> value of everything that numbers and times may depend on."""
    import torch

    from bench.plan.manifest import versions
    from bench.timing.clock import cpu_name
    from bench.weights.registry import home

    cuda = torch.cuda.is_available()
    return {
        **versions(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": cpu_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "vector units": torch.backends.cpu.get_cpu_capability(),
        "cuda": ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())) if cuda else "none",
        "mps": torch.backends.mps.is_available(),
        "weights folder": str(home()),
        "free disk here": f"{shutil.disk_usage(Path.cwd()).free / 1e9:.1f} GB",
    }
