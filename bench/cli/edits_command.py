"""Edits: list the cards, or find new directions in a generator: a boundary or a
regression from scored samples (InterFaceGAN), a PCA of its codes (GANSpace), or
style offsets from two texts (StyleCLIP).

Writes the directions and a card for each beside them, ready for
`run_bench.py --card CARD --edits NAME`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.cli.plugin_option import add_plugin
from bench.cli.printing import tell
from bench.core.arguments import number, seed, whole
from bench.core.device import choose_device
from bench.core.errors import ExitCode, UsageError
from bench.core.files import check_file, check_folder

if TYPE_CHECKING:
    from torch import Tensor

    from bench.core.samples import SampledGenerator


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options: the action; for fit and text: the generator, the labels or texts, and the card."""
    parser.add_argument(
        "action", choices=("ls", "fit", "text"), help="list cards; directions from samples, or from texts"
    )
    parser.add_argument("--card", action="append", default=[], metavar="FILE", help="ls: further cards")
    parser.add_argument("--json", action="store_true", help="the answer as JSON")
    fit = parser.add_argument_group("fit: which generator")
    fit.add_argument("--method", help="a method whose generator is used")
    fit.add_argument("--checkpoint", action="append", default=[], metavar="FILE", help="the method's files")
    fit.add_argument("--preset", help="whose checkpoint where none is given (default: synthetic)")
    fit.add_argument("--generator", type=Path, metavar="FILE", help="a file with a StyleGAN2 generator, no method")
    fit.add_argument("--domain", metavar="NAME", default="faces", help="faces (the default) or cars")
    fit.add_argument("--device", default="cpu", help="cpu, cuda or mps")
    add_plugin(fit)
    text = parser.add_argument_group("text: StyleCLIP's global direction between two texts (needs the extra [text])")
    text.add_argument("--neutral", metavar="TEXT", help='what is there: "face"')
    text.add_argument("--target", metavar="TEXT", help='what is wanted: "face with glasses"')
    text.add_argument("--fs3", type=Path, metavar="FILE", help="fs3.npy, StyleCLIP's vector of every style channel")
    text.add_argument("--statistics", type=Path, metavar="FILE", help="S_mean_std, its deviations")
    text.add_argument("--templates", type=Path, metavar="FILE", help="sentences with one {} each (default: the text)")
    text.add_argument(
        "--threshold", type=number(0, 1e6), default=0.15, help="disentanglement, 0.08 to 0.3 (default: 0.15)"
    )
    text.add_argument("--strength", type=number(1e-4, 1e4), default=3.0, help="deviations of the most relevant channel")
    text.add_argument("--clip", default="openai", metavar="FILE", help="CLIP ViT-B/32's weights (default: openai's)")
    how = parser.add_argument_group("fit: how")
    how.add_argument(
        "--kind", choices=("regression", "boundary", "pca"), default="regression",
        help="scores as numbers, as two classes, or none",
    )  # fmt: skip
    how.add_argument(
        "--labels", metavar="FILE|M:F",
        help="scores: a CSV file (sample,smile / 0,0.7), or MODULE:FUNCTION of images (N, 3, H, W) in [-1, 1] "
        "(default: the synthetic world's regressor)",
    )  # fmt: skip
    how.add_argument("--attributes", metavar="A,B", help="which of them (default: all)")
    how.add_argument("--samples", type=whole(1), default=2000, metavar="N", help="images generated")
    how.add_argument("--components", type=whole(1), default=80, metavar="K", help="components of a PCA")
    how.add_argument("--seed", type=seed, default=0, help="of the samples; their numbers in a CSV file go with it")
    how.add_argument("--images", type=Path, metavar="DIR", help="only write the samples' images, to be scored")
    how.add_argument("--output", type=Path, metavar="FILE", help="safetensors file to write")


def run(options: argparse.Namespace) -> int:
    """List edits, or find a new direction and write its card."""
    if options.action == "ls":
        from bench.cli.list_command import show_edits

        return show_edits([Path(card) for card in options.card], as_json=options.json)
    if options.action == "text":
        return _text(options)
    if bool(options.method) == bool(options.generator) or not (options.output or options.images):
        raise UsageError(
            "edits fit needs one generator (--method or --generator) and a file to write",
            "edits fit --method e4e --output mine.safetensors",
        )
    if options.images:
        check_folder(options.images, "--images")
    else:
        check_file(options.output, "--output")
    facts = _fit(options, choose_device(options.device))
    words = {name: ", ".join(fact) if isinstance(fact, list) else fact for name, fact in facts.items()}
    print(json.dumps(facts) if options.json else "\n".join(f"{name}: {fact}" for name, fact in words.items()))
    return int(ExitCode.OK)


def _text(options: argparse.Namespace) -> int:
    """Make style offsets of two texts, and the card that uses them. Raises UsageError where something is not given."""
    from bench.edits import text_direction
    from bench.edits.cards import Card, Column
    from bench.edits.fit.card_files import plain_name, write_card

    wanted = ("neutral", "target", "fs3", "statistics", "output")
    if absent := [f"--{name}" for name in wanted if getattr(options, name) is None]:
        raise UsageError(f"edits text needs {', '.join(absent)}", "see run_bench.py edits --help")
    check_file(options.output, "--output")
    texts = text_direction.Texts(options.neutral, options.target, text_direction.read_frames(options.templates))
    vector = text_direction.text_vector(text_direction.clip_text_encoder(options.clip), texts)
    channels = text_direction.write_relevance(vector, options.fs3, options.statistics, options.output)
    name = plain_name(options.output.stem)
    card = Card(
        name=name,
        domain="faces",
        generator="ffhq-1024",
        rule="style",
        group="StyleCLIP global",
        origin=f"StyleCLIP's global direction, {texts.neutral!r} to {texts.target!r}, {len(texts.frames)} sentences",
        licence="by fs3 and CLIP: MIT code; the FFHQ generator's terms (NVIDIA, non-commercial)",
        sign=f"+ goes to {texts.target!r}",
        strength_source="given, or StyleCLIP's usual 3 deviations",
        file=options.output.name,
        threshold=options.threshold,
        columns=(Column(name, options.strength),),
        sweep=(-2 * options.strength, -options.strength, options.strength, 2 * options.strength),
    )
    path = write_card(card, options.output.with_suffix(".toml"))
    facts = {"edit": name, "card": str(path), "file": str(options.output), "channels": channels}
    print(json.dumps(facts) if options.json else "\n".join(f"{key}: {fact}" for key, fact in facts.items()))
    return int(ExitCode.OK)


def _fit(options: argparse.Namespace, device: str) -> dict[str, Any]:
    from bench.edits.fit import fit_directions
    from bench.edits.fit.samples import draw

    generator, crop, origin = _generator(options, device)
    samples = draw(generator, options.samples, options.seed, device, crop)
    if options.images:
        return {"images": fit_directions.write_images(samples, options.images), "folder": str(options.images)}
    request = fit_directions.Request(
        domain=options.domain,
        kind=options.kind,
        labels=options.labels or "",
        attributes=tuple(dict.fromkeys(name.strip() for name in (options.attributes or "").split(",") if name.strip())),
        components=options.components,
        seed=options.seed,
        output=options.output,
        origin=origin,
    )
    return fit_directions.find(samples, request, tell)


def _generator(
    options: argparse.Namespace, device: str
) -> tuple[SampledGenerator, Callable[[Tensor], Tensor] | None, str]:
    """The generator, what crops its images, and where it comes from in words."""
    from bench.edits.fit.samples import drawn_from
    from bench.plan.checkpoints import load_one
    from bench.plan.plugins import load_plugins

    if options.generator:
        from methods.generators import load_generator

        generator, _ = load_generator(options.generator, device)
        return generator, None, f"the generator of {options.generator.name}"
    load_plugins(options.plugin)
    method = drawn_from(load_one(options.method, options.domain, options.checkpoint, options.preset, device))
    return method.sampled_generator, method.crop, f"the generator of {method.name}"
