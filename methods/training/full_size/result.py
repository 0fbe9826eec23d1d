"""The file that a full-size training ends in, as `load_method` takes it beside the base encoder's checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from bench.core.checkpoint import write_safetensors
from methods.nets.configs import to_dict
from methods.styleres.pipeline import StyleRes
from methods.training.full_size.networks import Networks, needed_files
from methods.training.full_size.options import Options
from methods.training.journal import tell
from methods.training.world import prefixed


def write_result(
    path: Path,
    model: StyleRes,
    networks: Networks,
    options: Options,
    made: Mapping[str, Any],
    held_out: Mapping[str, float],
) -> None:
    """Write what was trained, in float32, with its configuration and how it was made.

    A shared generator goes into the file, because the residuals were trained inside that one: [the base encoder's
    checkpoint, this file] is then all a method needs.
    """
    tensors: dict[str, Tensor] = prefixed({f"{options.model}.": model})
    config: dict[str, Any] = {options.model: to_dict(model.config)}
    if options.base_generator == "shared":
        tensors |= prefixed({"decoder.": networks.generator})
        config["generator"] = to_dict(networks.generator.config)
    name = options.model if options.base == "e4e" else f"{options.base}+{options.model}"
    metadata = {
        "method": name,
        "domain": options.domain,
        "base": options.base,
        "beside": [f"{options.base}-{options.domain}"],
        "config": config,
        "made": {**made, "started_from": needed_files(options)},
        "held_out": dict(held_out),
    }
    write_safetensors(
        path, {key: value.float() if value.is_floating_point() else value for key, value in tensors.items()}, metadata
    )
    tell(f"use it: python run_bench.py --preset paper-{options.domain} --data DIR --checkpoint {name}={path}")
