"""Edits: list the cards, or find new directions in a method's generator from
pictures that it makes and a network that measures them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from bench.cli.printing import show, tell
from bench.errors import ExitCode, UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("ls", "fit"))
    parser.add_argument("--method", help="fit: method whose generator is used")
    parser.add_argument("--checkpoint", action="append", default=[], metavar="FILE", help="fit: its files")
    parser.add_argument("--preset", help="fit: whose checkpoint where none is given (default: synthetic)")
    parser.add_argument(
        "--kind", choices=("linear", "pca"), default="linear", help="fit: labelled samples, or PCA of W"
    )
    parser.add_argument("--attributes", default="smile,yaw,age", metavar="A,B", help="fit: what the directions change")
    parser.add_argument("--samples", type=int, default=2000, metavar="N", help="fit: pictures generated")
    parser.add_argument("--components", type=int, default=80, metavar="K", help="fit: components of a PCA")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, metavar="FILE", help="fit: safetensors file to write")
    parser.add_argument("--json", action="store_true")


def run(options: argparse.Namespace) -> int:
    if options.action == "ls":
        from bench.edits.cards import all_cards, rows

        show(rows(all_cards()), ("name", "generator", "rule", "layers", "columns"), as_json=options.json)
        return int(ExitCode.OK)
    if not options.method or not options.output:
        raise UsageError(
            "edits fit needs a method and a file to write", "edits fit --method e4e --output mine.safetensors"
        )
    facts = _fit(options)
    print(json.dumps(facts) if options.json else "\n".join(f"{name}: {fact}" for name, fact in facts.items()))
    return int(ExitCode.OK)


def _fit(options: argparse.Namespace) -> dict[str, Any]:
    import torch

    from bench.edits.fit import fit_pca, fit_regression, save_directions
    from bench.locate import files_of
    from methods import load_method

    method: Any = load_method(
        options.method, checkpoint=files_of(options.method, "faces", options.checkpoint, options.preset)
    )
    generator = getattr(method, "generator", None)
    if generator is None or not hasattr(generator, "mapping"):
        raise UsageError(f"{options.method} has no generator with a mapping network to sample from")
    random = torch.Generator().manual_seed(options.seed)
    with torch.inference_mode():
        codes = generator.mapping(torch.randn(options.samples, generator.config.style_dim, generator=random))
        if options.kind == "pca":
            found = fit_pca(codes, min(options.components, codes.shape[1], len(codes) - 1))
            tensors = {"mean": found.mean, "comp": found.comp, "std": found.std}
            facts: dict[str, Any] = {"components": len(found.std)}
        else:
            tensors, facts = {}, {}
            values = _measured(generator, codes)
            for name in options.attributes.split(","):
                if name not in values:
                    raise UsageError(f"nothing measures {name!r}", f"measured: {', '.join(values)}")
                boundary = fit_regression(codes, values[name], seed=options.seed)
                tensors[name] = boundary.normal
                facts[name] = f"R2 {boundary.score:.3f} on held-out samples"
    save_directions(options.output, tensors, {key: str(value) for key, value in facts.items()})
    return {**facts, "file": str(options.output)}


def _measured(generator: Any, codes: Any) -> dict[str, Any]:
    """Attributes of the pictures of codes, by the synthetic world's regressor."""
    import torch

    from bench.synthetic.networks import load_world_networks

    networks = load_world_networks()
    parts: dict[str, list[Any]] = {}
    for start in range(0, len(codes), 64):
        pictures = generator(generator.broadcast(codes[start : start + 64]))
        for name, value in networks.attributes(pictures).items():
            parts.setdefault(name, []).append(value)
        if start % 512 == 0:
            tell(f"{start} of {len(codes)} pictures")
    return {name: torch.cat(values) for name, values in parts.items()}
