"""Time one method in a process of its own: `python -m tests.benchmarks.probe NAME DOMAIN FILE...` prints one JSON line.

A process of its own, because peak memory is a process's: what an earlier method took would hide it.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import torch

from bench.timing.harness import Settings, measure
from methods import load_method


def probe(name: str, domain: Any, files: list[str]) -> dict[str, Any]:
    """The harness's record of one method, with the machine's peak beside it."""
    method = load_method(name, domain=domain, checkpoint=files)
    result = measure({name: method}, "cpu", Settings(samples=3, warm_up=1))
    peak = {key: value for key, value in result.items() if key.startswith("peak") or key == "threads"}
    return {"torch": torch.__version__, **peak, **result["methods"][name]}


if __name__ == "__main__":
    print(json.dumps(probe(sys.argv[1], sys.argv[2], sys.argv[3:])))
