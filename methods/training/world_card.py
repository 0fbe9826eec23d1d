"""The world's model card: what was shipped, how it was made and how good it is, measured when this runs.

python -m methods.training.world_card [FOLDER]      prints the card; with a FOLDER also writes it and its drawings there
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bench.core.errors import BenchError, ExitCode
from bench.core.files import check_folder, explain_write_errors, read_json
from bench.core.metadata import read_metadata
from bench.world.generator import load_shipped_generator, sample_images
from bench.world.networks import WEIGHTS, WorldNetworks, load_world_networks
from bench.world.render import render, to_uint8
from bench.world.scene import sample_people
from methods.nets.stylegan2 import Generator
from methods.training.card_figures import (
    draw_trade_off,
    draw_training,
    figure_name,
    held_out_curve,
    late_gain,
    records,
)
from methods.training.card_sweep import TRADE_OFF, sweep_lines
from methods.training.journal import told
from methods.training.sweep import SCORE
from metrics.frechet import frechet_distance

COUNT = 2000
GRID = (4, 12)
TRAINING = "training.png"
RESIDUAL = ("styleres", "warpres")
SEED_FIGURES = ("psnr", "pose+/kept", "pose-/kept", "smile+/flow_slope", SCORE)
EDIT_FIGURES = ("pose+/kept", "pose-/kept", "smile+/kept", "smile-/kept", "smile+/flow_slope", "yaw+17/flow_epe")


@torch.inference_mode()
def generator_distance(generator: Generator, networks: WorldNetworks) -> tuple[float, float]:
    """FD of generated images to held-out renders without details, and the floor: other renders to the same ones."""
    held_out, others = (_features(networks, render(sample_people(COUNT, seed, details=False))) for seed in (101, 102))
    made = _features(networks, sample_images(generator, COUNT))
    return frechet_distance(made, held_out), frechet_distance(others, held_out)


@torch.inference_mode()
def _features(networks: WorldNetworks, images: Tensor) -> np.ndarray:
    return torch.cat([networks.pooled(networks.features(part)) for part in images.split(50)]).double().numpy()


def lines(folder: Path = WEIGHTS) -> Iterator[str]:
    """The card, as Markdown."""
    generator, networks = load_shipped_generator(folder), load_world_networks(folder)
    distance, floor = generator_distance(generator, networks)
    yield "# The synthetic world's networks\n"
    yield "Made by `python -m methods.training.world_card`; measured on scenes that no network was trained on.\n"
    yield "## Files\n"
    yield "Images and minutes are those of all legs of a training; where a shipped network was trained further, those"
    yield "before and after stand apart. w-consistency is a loss that is not in the paper."
    yield "Held-out figures are of validation people; all of them stand in each file's metadata.\n"
    yield "| file | MB | recipe | seed | steps | batch | images | minutes | losses | held-out figures |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for path in sorted(folder.glob("*.safetensors")):
        yield file_line(path)
    sizes = [(path.stat().st_size, len(zlib.compress(path.read_bytes()))) for path in folder.glob("*.safetensors")]
    whole, packed = (sum(column) / 1e6 for column in zip(*sizes, strict=True))
    yield f"\nAll files: {whole:.1f} MB, {packed:.1f} MB as the repository keeps them (zlib)."
    yield from _comparison_lines(folder)
    yield from _start_lines(folder)
    yield from _training_lines(folder)
    yield from _seed_lines(folder)
    yield from sweep_lines(folder)
    yield "\n## Generator\n"
    yield f"FD of {COUNT:,} samples to {COUNT:,} held-out renders without details: **{distance:.2f}**;"
    yield f"of as many other renders to the same ones: {floor:.2f}. Samples: `generator.png`.\n"
    yield "## Directions\n"
    facts = read_metadata(folder / "directions.safetensors")
    yield "Mean change that the regressor measures at strength 3 (600 unseen samples); yaw in degrees. Wanted on the"
    yield "diagonal, a leak elsewhere.\n"
    yield "| direction | smile | yaw | age | R² of the linear model |"
    yield "|---|---|---|---|---|"
    for name, change in facts["change_at_strength_3"].items():
        changes = f"{change['smile']:.3f} | {change['yaw']:.2f} | {change['age']:.3f}"
        yield f"| {name} | {changes} | {facts['r2'][name]:.3f} |"


def file_line(path: Path) -> str:
    """A row of the card's table of files."""
    facts = read_metadata(path)
    made, held_out = facts.get("made", {}), facts.get("held_out", {})
    shown = {name: value for name, value in held_out.items() if "/" not in name or name in EDIT_FIGURES}
    figures = ", ".join(f"{figure_name(name)} {value:.4g}" for name, value in shown.items())
    minutes = round(made["wall_time_s"] / 60, 1) if made else "-"
    columns = [str(made.get(key, "-")) for key in ("recipe", "seed", "steps", "batch")] + [images_of(made)]
    size = f"{path.stat().st_size / 1e6:.1f}"
    return f"| {path.name} | {size} | {' | '.join(columns)} | {minutes} | {_losses(made)} | {figures} |"


def images_of(made: Mapping[str, Any]) -> str:
    """Images that a training saw, in all; of each recipe in turn where the shipped network was trained by several."""
    seen: dict[str, int] = {}
    for leg in made.get("legs", []):
        count = (leg["to"] - leg["from"]) * leg.get("batch", made["batch"])
        seen[leg["recipe_digest"]] = seen.get(leg["recipe_digest"], 0) + count
    if len(seen) > 1:
        return f"{sum(seen.values()):,} ({' + '.join(f'{count:,}' for count in seen.values())})"
    return f"{made.get('pictures', made['steps'] * made['batch']):,}" if made else "-"


def _comparison_lines(folder: Path) -> Iterator[str]:
    """Each method beside what it builds on, and of one that is not better how its training stood when it ended."""
    found = {path.stem: read_metadata(path) for path in sorted(folder.glob("*.safetensors"))}
    found = {name: facts for name, facts in found.items() if "psnr_before" in facts.get("held_out", {})}
    if not found:
        return
    yield "\n## Against what it builds on\n"
    yield "PSNR of the reconstruction on validation people: ReStyle beside its one-step encoder, HyperStyle beside"
    yield "its W encoder, HFGI beside e4e, FeatureStyle beside its codes without the feature map.\n"
    yield "| method | PSNR (dB) | of what it builds on (dB) | verdict |"
    yield "|---|---|---|---|"
    for name, facts in found.items():
        psnr, before = facts["held_out"]["psnr"], facts["held_out"]["psnr_before"]
        verdict = "better" if psnr > before else f"not better{_tried(folder, name, facts['made'])}"
        yield f"| {name} | {psnr:.2f} | {before:.2f} | {verdict} |"


def _start_lines(folder: Path) -> Iterator[str]:
    """Which residual networks go on from the very same start, where more than one training of it was made."""
    together: dict[str, list[str]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        start = read_metadata(path).get("made", {}).get("inputs", {}).get("residual-start.safetensors")
        if start:
            together.setdefault(start, []).append(path.stem)
    if len(together) > 1:
        yield "\n## Common starts\n"
        yield "The start without edits was trained more than once, by one recipe and seed on different machines."
        yield "Networks of one line go on from the same file; between lines, the start differs as well.\n"
        yield from (f"* {', '.join(names)}" for names in together.values())


def _tried(folder: Path, name: str, made: Mapping[str, Any]) -> str:
    """What was tried: images, and how far the figure still moved over the last third of the training."""
    images = made.get("pictures", made["steps"] * made["batch"])
    _, (steps, values) = held_out_curve(records(folder / "logs" / f"{name}.jsonl"))
    late = next(value for step, value in zip(steps, values, strict=True) if step >= steps[-1] * 2 / 3)
    return f" after {images:,} images; it moved by {values[-1] - late:+.2f} dB over the last third of them"


def _losses(made: Mapping[str, Any]) -> str:
    """Which set of losses a residual method was trained with, and its weights."""
    weights = made.get("weights")
    if not isinstance(weights, dict) or "w_consistency" not in weights:
        return "-"
    asks = weights["w_consistency"]
    return f"{'with w-consistency ' + str(asks) if asks else 'paper'}, lambda_F {weights['regulariser']}"


def _training_lines(folder: Path) -> Iterator[str]:
    logs = sorted((folder / "logs").glob("*.jsonl"))
    if logs:
        yield "\n## Training\n"
        yield "Losses (grey) and the held-out figure over the steps of each training, drawn from `logs/`.\n"
        yield f"![Losses and the held-out figure of every network over its steps]({TRAINING})"
        residual = [log for log in logs if log.stem.rpartition("+")[2].startswith(RESIDUAL)]
        gains = {log.stem: late_gain(records(log)) for log in residual}
        told = ", ".join(f"{name} {100 * gain:.1f} %" for name, gain in gains.items() if gain is not None)
        yield f"\nHeld-out error of the reconstruction still fell over the last fifth of its training by: {told}."
        yield "Where that is more than 1 %, more images would still pay."


def _seed_lines(folder: Path) -> Iterator[str]:
    """Mean and standard deviation over the seeds of a training, where several are shipped."""
    families: dict[str, list[Mapping[str, float]]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        stem = re.sub(r"-s\d+$", "", path.stem)
        families.setdefault(stem, []).append(read_metadata(path).get("held_out", {}))
    several = {name: figures for name, figures in families.items() if len(figures) > 1}
    if not several:
        return
    yield "\n## Seeds\n"
    yield "Mean ± standard deviation over the seeds, of validation people; PSNR asked is the mean over"
    yield "reconstruction, pose and smile.\n"
    yield f"| method | seeds | {' | '.join(map(figure_name, SEED_FIGURES))} |"
    yield "|---|---|---|---|---|---|---|"
    for name, figures in several.items():
        columns = [_spread([each[key] for each in figures if key in each]) for key in SEED_FIGURES]
        yield f"| {name} | {len(figures)} | {' | '.join(columns)} |"


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.fmean(values):.3f} ± {statistics.stdev(values):.3f}" if len(values) > 1 else "-"


def grid(generator: Generator) -> Image.Image:
    """Samples of the generator, GRID rows by columns, doubled in size."""
    rows, columns = GRID
    images = to_uint8(sample_images(generator, rows * columns, seed=9))
    tiles = images.view(rows, columns, 64, 64, 3).permute(0, 2, 1, 3, 4).reshape(rows * 64, columns * 64, 3)
    return Image.fromarray(tiles.numpy()).resize((columns * 128, rows * 128), Image.Resampling.NEAREST)


def write(folder: Path, text: str) -> None:
    """Write the card and its drawings."""
    (folder / "CARD.md").write_text(text, encoding="utf-8")
    grid(load_shipped_generator()).save(folder / "generator.png", optimize=True)
    if logs := sorted((folder / "logs").glob("*.jsonl")):
        draw_training(logs, folder / TRAINING)
    if (folder / "sweep.json").is_file():
        draw_trade_off(read_json(folder / "sweep.json"), folder / TRADE_OFF)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code of the card."""
    about = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m methods.training.world_card", description=about)
    parser.add_argument("folder", type=Path, nargs="?", help="takes CARD.md and its drawings; left out: print alone")
    folder = parser.parse_args(argv).folder
    torch.set_num_threads(1)
    try:
        if folder is not None:
            check_folder(folder, "FOLDER")
        text = "\n".join(lines()) + "\n"
        print(text)
        if folder is not None:
            with explain_write_errors(folder):
                folder.mkdir(parents=True, exist_ok=True)
                write(folder, text)
    except BenchError as error:
        return told(error)
    return int(ExitCode.OK)


if __name__ == "__main__":
    sys.exit(main())
