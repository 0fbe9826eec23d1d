"""Time every method at full size on filled weights: 1024-px faces and 512-px cars, as `run_bench.py time` does.

    python -m tests.benchmarks.full_size_times --device cuda --into reports/measured

Time does not depend on what the weights are, so nothing has to be fetched. Writes one JSON record and one table a
domain. A method that fails is reported and left out.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from bench.cli.time_command import table
from bench.timing.clock import cpu_name
from bench.timing.harness import Settings, measure
from methods.nets.configs import to_dict
from methods.nets.memory import keep_pages
from methods.registry import Checkpoint, find
from methods.styleres.pipeline import StyleRes, StyleResConfig
from methods.warpres.network import WarpRes, WarpResConfig
from tests import filling

# Method -> manifests of its files; "styleres" and "warpres" stand for our trained parts, as initialised.
METHODS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "faces": {
        "psp": ("psp_ffhq",),
        "e4e": ("e4e_ffhq",),
        "restyle-psp": ("restyle_psp_ffhq",),
        "restyle": ("restyle_e4e_ffhq",),
        "hyperstyle": ("hyperstyle_ffhq",),
        "hfgi": ("hfgi_ffhq",),
        "styletransformer": ("style_transformer_ffhq",),
        "featurestyle": ("feature_style_ffhq",),
        "styleres": ("styleres_ffhq",),
        "warpres": ("e4e_ffhq", "warpres"),
        "psp+warpres": ("psp_ffhq", "warpres"),
        "styletransformer+warpres": ("style_transformer_ffhq", "warpres"),
    },
    "cars": {
        "e4e": ("e4e_cars",),
        "restyle": ("restyle_e4e_cars",),
        "hyperstyle": ("hyperstyle_cars",),
        "styletransformer": ("style_transformer_cars",),
        "e4e+styleres": ("e4e_cars", "styleres"),
        "warpres": ("e4e_cars", "warpres"),
    },
}


def main(argv: list[str] | None = None) -> int:
    """Exit code: 0, or 1 where a method failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.full_size_times", description=__doc__)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps")
    parser.add_argument("--domains", default="faces,cars")
    parser.add_argument("--methods", help="a few methods' names; all of the domain by default")
    parser.add_argument("--samples", type=int, default=10, help="timed images a method")
    parser.add_argument("--warm-up", type=int, default=6, help="most images before them")
    parser.add_argument("--apart", action="store_true", help="one method after the other, each written when it is done")
    parser.add_argument("--bf16", action="store_true", help="bfloat16 autocast, with its deviation")
    parser.add_argument("--into", type=Path, default=Path("reports/measured"))
    args = parser.parse_args(argv)
    settings = Settings(args.samples, args.warm_up, bf16=args.bf16)
    keep_pages()  # as `load_method` does
    failed = False
    for domain in args.domains.split(","):
        names = [name for name in METHODS[domain] if not args.methods or name in args.methods.split(",")]
        # Interleaved, so that a slow minute hits them all; or each by itself and written at once.
        rounds = [[name] for name in names] if args.apart else [names]
        about = {
            "hardware": torch.cuda.get_device_name() if args.device.startswith("cuda") else cpu_name(),
            "torch": str(torch.__version__),
            "weights": "filled",
            "domain": domain,
            "tf32_convolutions": args.device.startswith("cuda") and torch.backends.cudnn.allow_tf32,
            "interleaved": not args.apart,
        }
        found: dict[str, Any] = {}
        for some in rounds:
            built = {name: _built(name, domain, args.device) for name in some}
            methods = {name: method for name, method in built.items() if method is not None}
            failed |= len(methods) < len(built)
            if methods:
                measured = measure(methods, args.device, settings)
                found = {**measured, "methods": {**found.get("methods", {}), **measured["methods"]}}
                _write(args.into, domain, args, about | found)
            del built, methods
            gc.collect()
        print(_text(about | found) if found else f"no method of {domain} ran", flush=True)
    return int(failed)


def _built(name: str, domain: Any, device: str) -> Any:
    """The method on filled weights, having run once; None, with the reason on stderr, where it does not."""
    began = time.monotonic()
    try:
        entry = find(name)
        files = [
            Checkpoint(Path(file), content)
            for part in METHODS[domain][name]
            for file, content in (_trained(part, name, domain) if part in _PARTS else _filled(part)).items()
        ]
        method: Any = entry.build(entry, domain, files)
        method = method.eval().requires_grad_(False).to(device)
        with torch.inference_mode():
            method.edit(method.invert(torch.zeros(1, 3, *method.input_size, device=device)))
    except Exception:
        print(f"{name} ({domain}) failed:\n{traceback.format_exc()}", file=sys.stderr, flush=True)
        return None
    print(f"{name} ({domain}): built in {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)
    return method


_PARTS: Mapping[str, tuple[type[StyleRes], type[StyleResConfig]]] = {
    "styleres": (StyleRes, StyleResConfig),
    "warpres": (WarpRes, WarpResConfig),
}


def _filled(manifest: str) -> dict[str, dict[str, Any]]:
    return filling.contents(manifest, quick=True)


def _trained(part: str, name: str, domain: str) -> dict[str, dict[str, Any]]:
    """Our file of a part, as initialised; nobody released one."""
    model_kind, config_kind = _PARTS[part]
    config = config_kind()
    tensors = {f"{part}.{key}": value for key, value in model_kind(config).state_dict().items()}
    metadata = {"method": name, "domain": domain, "config": {part: to_dict(config)}}
    return {f"{part}.safetensors": {"state_dict": tensors, "metadata": metadata}}


def _write(folder: Path, domain: str, args: argparse.Namespace, result: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"times-{domain}-{args.device.partition(':')[0]}" + "-bf16" * args.bf16
    (folder / f"{stem}.json").write_text(json.dumps(result, indent=1) + "\n")
    (folder / f"{stem}.txt").write_text(_text(result))


def _text(result: dict[str, Any]) -> str:
    return f"Filled weights, {result['domain']}, batch 1.\n\n{table(result)}\n"


if __name__ == "__main__":
    sys.exit(main())
