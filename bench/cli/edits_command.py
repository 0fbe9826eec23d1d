"""Edits: list the cards, or find new directions in a generator: a boundary or a
regression from scored samples (InterFaceGAN), or a PCA of its codes (GANSpace).

Writes the directions and a card for each beside them, ready for
`run_bench.py --card CARD --edits NAME`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from bench.cli.printing import tell
from bench.core.device import choose_device
from bench.core.errors import ExitCode, UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("ls", "fit"))
    parser.add_argument("--card", action="append", default=[], metavar="FILE", help="ls: further cards")
    parser.add_argument("--json", action="store_true")
    fit = parser.add_argument_group("fit: which generator")
    fit.add_argument("--method", help="a method whose generator is used")
    fit.add_argument("--checkpoint", action="append", default=[], metavar="FILE", help="the method's files")
    fit.add_argument("--preset", help="whose checkpoint where none is given (default: synthetic)")
    fit.add_argument("--generator", type=Path, metavar="FILE", help="a file with a StyleGAN2 generator, no method")
    fit.add_argument("--domain", metavar="NAME", default="faces")
    fit.add_argument("--device", default="cpu", help="cpu, cuda or mps")
    fit.add_argument("--plugin", action="append", default=[], metavar="MODULE", help="Python module that adds methods")
    how = parser.add_argument_group("fit: how")
    how.add_argument(
        "--kind", choices=("regression", "boundary", "pca"), default="regression",
        help="scores as numbers, as two classes, or none",
    )  # fmt: skip
    how.add_argument(
        "--labels", metavar="FILE|M:F",
        help="scores: a CSV file (sample,smile / 0,0.7), or MODULE:FUNCTION of pictures (N, 3, H, W) in [-1, 1] "
        "(default: the synthetic world's regressor)",
    )  # fmt: skip
    how.add_argument("--attributes", metavar="A,B", help="which of them (default: all)")
    how.add_argument("--samples", type=int, default=2000, metavar="N", help="pictures generated")
    how.add_argument("--components", type=int, default=80, metavar="K", help="components of a PCA")
    how.add_argument("--seed", type=int, default=0, help="of the samples; their numbers in a CSV file go with it")
    how.add_argument("--pictures", type=Path, metavar="DIR", help="only write the samples' pictures, to be scored")
    how.add_argument("--output", type=Path, metavar="FILE", help="safetensors file to write")


def run(options: argparse.Namespace) -> int:
    if options.action == "ls":
        from bench.cli.list_command import show_edits

        return show_edits([Path(card) for card in options.card], as_json=options.json)
    if bool(options.method) == bool(options.generator) or not (options.output or options.pictures):
        raise UsageError(
            "edits fit needs one generator (--method or --generator) and a file to write",
            "edits fit --method e4e --output mine.safetensors",
        )
    facts = _fit(options, choose_device(options.device))
    words = {name: ", ".join(fact) if isinstance(fact, list) else fact for name, fact in facts.items()}
    print(json.dumps(facts) if options.json else "\n".join(f"{name}: {fact}" for name, fact in words.items()))
    return int(ExitCode.OK)


def _fit(options: argparse.Namespace, device: str) -> dict[str, Any]:
    from bench.edits.fit import fit_directions as finding
    from bench.edits.fit.samples import draw

    generator, crop, origin = _generator(options, device)
    samples = draw(generator, options.samples, options.seed, device, crop)
    if options.pictures:
        return {"pictures": finding.write_images(samples, options.pictures), "folder": str(options.pictures)}
    request = finding.Request(
        domain=options.domain,
        kind=options.kind,
        labels=options.labels or "",
        attributes=tuple(name for name in (options.attributes or "").split(",") if name),
        components=options.components,
        seed=options.seed,
        output=options.output,
        origin=origin,
    )
    return finding.find(samples, request, tell)


def _generator(options: argparse.Namespace, device: str) -> tuple[Any, Any, str]:
    """The generator, what crops its images, and where it comes from in words."""
    from bench.edits.fit.samples import generator_of_method
    from bench.plan.checkpoints import files_of
    from bench.plan.plugins import load_plugins

    if options.generator:
        from methods.generators import load_generator

        generator, _ = load_generator(options.generator, device)
        return generator, None, f"the generator of {options.generator.name}"
    from methods import load_method

    load_plugins(options.plugin)
    files = files_of(options.method, options.domain, options.checkpoint, options.preset)
    method: Any = load_method(options.method, domain=options.domain, checkpoint=files, device=device)
    canvas = getattr(method, "canvas", None)
    return generator_of_method(method), getattr(canvas, "crop", None), f"the generator of {options.method}"
