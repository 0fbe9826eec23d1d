"""Edit photographs: aligned crop, inversion, each edit, a strip of all, and the
flow where the method has one. --sweep makes a GIF.

  run_bench.py edit me.jpg --method e4e --edit smile=3,pose=-2 -o out/
  run_bench.py edit me.jpg --method e4e --sweep smile=-3:3:7 -o out/
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.cli.printing import tell
from bench.cli.run_command import checkpoints
from bench.core.arguments import whole
from bench.core.domains import find_domain
from bench.core.errors import ExitCode, ImageError, UsageError
from bench.core.names import numbered

if TYPE_CHECKING:
    from bench.core.contract import EditPass, Method
    from bench.plan.config import Config

MOST_STEPS = 101


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options: the photographs, the method, the edits and where files go."""
    parser.add_argument("photographs", nargs="+", type=Path, metavar="PHOTO", help="image files")
    parser.add_argument("--method", required=True, help="which method (ls methods)")
    parser.add_argument("--edit", action="append", default=[], metavar="NAME=S,..", help="edits and their strengths")
    parser.add_argument("--sweep", action="append", default=[], metavar="NAME=A:B:N", help="N strengths from A to B")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("out"), metavar="DIR", help="where files go (default: out)"
    )
    parser.add_argument(
        "--weights",
        choices=("released", "synthetic"),
        default="released",
        help="the authors' (the default) or the embedded world's",
    )
    parser.add_argument("--domain", metavar="NAME", default="faces", help="faces (the default) or cars")
    parser.add_argument(
        "--checkpoint", action="append", default=[], metavar="NAME=FILE", help="checkpoint of the method"
    )
    parser.add_argument("--directions", metavar="DIR", help="folder of the edits' direction files")
    parser.add_argument("--card", action="append", default=[], metavar="FILE", help="a further edit card")
    parser.add_argument("--no-align", action="store_true", help="the photograph is aligned already")
    parser.add_argument("--face", type=whole(1), metavar="N", help="which face, the largest first")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")


def run(options: argparse.Namespace) -> int:
    """Edit photographs of one's own; files below --output."""
    from bench.plan.build import device_of
    from bench.plan.checkpoints import load_planned
    from bench.plan.limits import check_folders
    from bench.run.shard import Shard

    single, sweeps = _edits(options.edit), _sweeps(options.sweep)
    missing = [path for path in options.photographs if not path.is_file()]
    if missing and missing[0].is_dir():
        raise UsageError(f"{missing[0]} is a folder", f"name its photographs: {missing[0] / '*'}")
    if missing:
        raise UsageError(f"{missing[0]}: no such file")
    config = _config(options)
    check_folders(replace(config, run=replace(config.run, output=str(options.output))))
    device = device_of(config, Shard())
    method = load_planned(config, options.method, options.domain, device)
    passes = _passes(config, method, single)
    swept = {name: _passes(config, method, [(name, strength) for strength in steps]) for name, steps in sweeps.items()}
    failed = 0
    for path, name in zip(options.photographs, numbered([path.stem for path in options.photographs]), strict=True):
        try:
            folder = _edit_one(path, options.output / name, method, passes, swept, options, device)
        except ImageError as error:
            failed += 1
            tell(f"error: {error}")
        else:
            print(folder)
    return int(ExitCode.FAILED_CELLS if failed else ExitCode.OK)


def _config(options: argparse.Namespace) -> Config:
    from bench.data import kind_of
    from bench.plan.config import load_config
    from methods.checkpoint_files import RELEASED

    preset = options.weights
    if preset == RELEASED:
        preset = find_domain(options.domain).preset
    elif kind_of(preset).domain != options.domain:
        preset = ""
    if not preset:
        raise UsageError(f"there are no {options.weights} weights for {options.domain}", "--weights released")
    edits = {"files": options.directions or "", "cards": options.card}
    given = checkpoints(options.checkpoint) or {}
    return load_config(preset, command_line={"edits": edits, "run": {"device": options.device}, "checkpoints": given})


def _edits(items: Sequence[str]) -> list[tuple[str, float]]:
    """("smile", 3.0) for each NAME=S of "smile=3,pose=-2". Raises UsageError for anything else."""
    from bench.edits.cards import check_strength

    found = []
    for item in (part.strip() for words in items for part in words.split(",") if part.strip()):
        name, equals, text = item.partition("=")
        try:
            strength = float(text)
        except ValueError:
            strength = float("nan")
        if not name or not equals or not np.isfinite(strength):
            raise UsageError(f"--edit {item}: expected NAME=STRENGTH, a finite number", "--edit smile=3,pose=-2")
        check_strength(strength, f"--edit {item}: the strength", zero=True)
        found.append((name, strength))
    return found


def _sweeps(items: Sequence[str]) -> dict[str, list[float]]:
    """Edit -> strengths of "smile=-3:3:7". Raises UsageError for anything else."""
    from bench.edits.cards import check_strength

    found = {}
    for item in items:
        name, _, span = item.partition("=")
        try:
            first, last, count = span.split(":")
            ends, number = (float(first), float(last)), int(count)
        except ValueError:
            ends, number = (0.0, 0.0), 0
        if not name or not 2 <= number <= MOST_STEPS:
            raise UsageError(f"--sweep {item}: expected NAME=FROM:TO:STEPS, 2 to {MOST_STEPS} steps", "smile=-3:3:7")
        if name in found:
            raise UsageError(f"--sweep {item}: {name} is swept already", "one sweep an edit")
        for end in ends:
            check_strength(end, f"--sweep {item}: a strength", zero=True)
        found[name] = [float(step) for step in np.linspace(*ends, number)]
    return found


def _passes(config: Config, method: Method, wanted: Sequence[tuple[str, float]]) -> list[EditPass]:
    """Each edit's direction for the method's generator, with its strength."""
    from bench.core.contract import EditPass
    from bench.edits.cards import find_card, generator_of
    from bench.edits.directions import load_direction
    from bench.plan.checkpoints import direction_files

    rows = method.latent_rows
    generator = generator_of(method.domain, rows)
    files, cards = direction_files(config), [Path(card) for card in config.edits.cards]
    loaded: dict[str, EditPass] = {}
    for name, strength in wanted:
        if name not in loaded:
            card = find_card(name, generator, cards)
            direction = load_direction(card, files, generator=generator, latent_rows=rows, method=method.name)
            loaded[name] = EditPass(name, direction, strength)
    return [replace(loaded[name], strength=strength) for name, strength in wanted]


def _edit_one(
    path: Path,
    folder: Path,
    method: Method,
    passes: Sequence[EditPass],
    swept: dict[str, list[EditPass]],
    options: argparse.Namespace,
    device: str,
) -> Path:
    from bench.run.photograph import edit_photograph
    from reports.figures.photograph import write_edits, write_sweep

    pixels = _aligned(path, method, options)
    write_edits(folder, pixels, list(edit_photograph(method, pixels, passes, device)))
    for name, steps in swept.items():
        _, *frames = edit_photograph(method, pixels, steps, device)
        write_sweep(folder, name, frames)
    return folder


def _aligned(path: Path, method: Method, options: argparse.Namespace) -> np.ndarray:
    """The photograph's pixels as the method's data are: FFHQ's crop for photographs of faces, else as they are.

    Raises ImageError for a photograph that is not of the method's shape and is not to be aligned.
    """
    from bench.data.images import decode

    pixels = decode(path)
    if find_domain(options.domain).alignment and options.weights == "released" and not options.no_align:
        from bench.data.align.faces import TERMS, align

        tell(f"{path}: aligning ({TERMS})")
        return align(pixels, max(method.output_size), str(path), options.face)
    height, width = method.input_size
    if abs(pixels.shape[1] * height - pixels.shape[0] * width) > 0.02 * pixels.shape[1] * height:
        shape = "square" if height == width else f"{width}:{height}"
        raise ImageError(
            f"{path} is {pixels.shape[1]} x {pixels.shape[0]}; {method.name} takes {shape} images",
            "crop it first; it would be squashed",
        )
    return pixels
