"""How much of WarpRes's error is its flow's: the shipped WarpRes again with other flows, the true one among them.

    python -m bench.run.upper_bound [--limit N] [--edits pose,smile]

Only the flow is exchanged; codes, residuals and every weight stay. The true flow is that of the scene changed by as
much as the generator's own image changed with the codes (by the regressor), so it knows what was asked and nothing
of what came out. No method of the bench is given the truth, which is why this is a command and not a method.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.core.contract import EditPass, ImageRecord
from bench.core.evaluator import Features
from bench.core.observer import Output
from bench.core.subset import belongs
from bench.core.text_table import markdown_lines
from bench.edits.cards import generator_of
from bench.edits.columns import plan_columns
from bench.edits.directions import load_directions
from bench.plan.checkpoints import direction_files, load_one, network_path
from bench.plan.config import load_config
from bench.run.input import to_input
from bench.run.truth import TruthObserver, attribute_of, flow_errors
from bench.world import open_world
from bench.world.dataset import scene_of
from bench.world.flow_teacher import load_flow_teacher
from bench.world.networks import load_world_networks
from bench.world.truth import edited, true_flow
from methods.nets.flow.network import normalise
from methods.styleres.adapter import ResidualMethod
from methods.styleres.pipeline import Prefix, Prepared
from methods.warpres.network import WarpRes
from metrics.evaluator import load_evaluator
from metrics.intervals import mean_interval
from metrics.protocol import load_protocol

PROTOCOL = "synthetic-2"
OWN, TRUE = "WarpRes's flow", "true flow"
FLOWS = ("no flow", OWN, "teacher's flow", TRUE)
Values = dict[str, float]

# Metric -> heading and digits; the reconstruction is compared with the input, an edit with its truth.
RECONSTRUCTION = {"id": ("ID", 3), "psnr": ("PSNR", 2), "ssim": ("SSIM", 3), "lpips": ("LPIPS", 3)}
EDIT = {
    "achieved": ("achieved", 2),
    "id": ("ID", 3),
    "truth_psnr": ("PSNR to truth", 2),
    "truth_ssim": ("SSIM to truth", 3),
    "truth_lpips": ("LPIPS to truth", 3),
    "asked_psnr": ("PSNR to what was asked", 2),
    "flow_epe": ("flow EPE", 2),
}


class UpperBound:
    """The shipped WarpRes, with the evaluators and the observer of a run."""

    def __init__(self) -> None:
        method = load_one("warpres", "faces", (), "synthetic")
        self.method = cast(ResidualMethod, method)
        self.model, self.generator = cast(WarpRes, self.method.model), self.method.base.generator
        self.networks, self.teacher = load_world_networks(), load_flow_teacher()
        self.observer = TruthObserver(self.networks)
        self.evaluator = load_evaluator(
            PROTOCOL, domain="faces", weights=network_path, device="cpu", world=self.networks
        )

    def passes(self, edits: Sequence[str]) -> list[EditPass]:
        """The reconstruction and the edits' columns at their cards' strengths."""
        rows = self.method.latent_rows
        generator, files = generator_of("faces", rows), direction_files(load_config("synthetic"))
        planned = plan_columns(edits, generator=generator, method="warpres")
        passes, absent = load_directions(planned, files, generator=generator, latent_rows=rows, method="warpres")
        for error in absent.values():
            raise error
        return passes

    @torch.inference_mode()
    def measure(
        self, image: ImageRecord, pixels: np.ndarray, passes: Sequence[EditPass]
    ) -> dict[str, dict[str, Values]]:
        """Column -> flow -> values of one image, uint8 (64, 64, 3)."""
        codes, taps = self.method.base.encode(to_input(pixels, self.method)[None])
        prepared = self.model.prepare(self.generator, codes, taps[self.model.config.base_tap])
        (original,) = self.evaluator.extract([self.evaluator.store(pixels)])
        found = {}
        for edit in passes:
            if belongs(image.attributes, edit.inputs):
                found[edit.pass_name] = self._edit(image, pixels, edit, prepared, original)
        return found

    def _edit(
        self, image: ImageRecord, pixels: np.ndarray, edit: EditPass, prepared: Prepared, original: Features
    ) -> dict[str, Values]:
        if edit.direction is None:
            codes, prefix = prepared.codes, prepared.prefix
        else:
            codes = prepared.codes + edit.direction.delta(prepared.codes, edit.strength)
            prefix = self.model.prefix(self.generator, codes)
        change = self.asked(edit, prepared.codes, codes)
        values = {}
        for name, cells in self.flows(image, edit, prepared, codes, prefix, change).items():
            made = self.evaluator.to_uint8(self.model.finish(self.generator, prepared, codes, prefix, cells).image)
            output = Output(image, pixels, edit, made[0], {"flow": cells[0].numpy()})
            values[name] = self._score(output, original, change)
        return values

    def asked(self, edit: EditPass, before: Tensor, after: Tensor) -> float:
        """How far the generator's own image moves the edit's attribute; 0 for the reconstruction."""
        attribute = attribute_of(edit)
        if attribute is None:
            return 0.0
        measured = [self.networks.attributes(self._plain(codes))[attribute] for codes in (before, after)]
        return float(measured[1] - measured[0])

    def flows(
        self, image: ImageRecord, edit: EditPass, prepared: Prepared, codes: Tensor, prefix: Prefix, change: float
    ) -> dict[str, Tensor]:
        """Flow name -> cells (1, 2, 32, 32)."""
        own = self.model.flow(self.generator, prepared, codes, prefix)
        plain = [normalise(self._plain(which)) for which in (codes, prepared.codes)]
        teacher = self.model.cells(self.teacher(*plain).flow1)
        return dict(zip(FLOWS, (torch.zeros_like(own), own, teacher, true_cells(image, edit, change)), strict=True))

    def _plain(self, codes: Tensor) -> Tensor:
        return self.generator(codes).clamp(-1, 1)

    def _score(self, output: Output, original: Features, change: float) -> Values:
        """The columns of one output whose flow is "flow" among what is announced; `change` is the flow's own truth."""
        (seen,) = self.evaluator.extract([self.evaluator.store(output.pixels)])
        values = dict(self.evaluator.compare([seen], [original])[0].values)
        attribute = attribute_of(output.edit)
        if attribute is None:
            return values
        (said,), (asked,) = self.observer.observe([output]), self.observer.asked([(output.image, output.edit)])
        assert said.truth is not None and asked is not None
        values |= said.values
        truths = self.evaluator.extract([self.evaluator.store(truth) for truth in (said.truth, asked)])
        for prefix, scored in zip(("truth", "asked"), self.evaluator.compare([seen, seen], truths), strict=True):
            values |= {f"{prefix}_{metric}": value for metric, value in scored.values.items()}
        source = scene_of(output.image.name)
        cells = torch.from_numpy(output.announced["flow"])[None]
        return values | flow_errors(source, edited(source, attribute, change), cells)[0]


def true_cells(image: ImageRecord, edit: EditPass, change: float) -> Tensor:
    """True flow (1, 2, 32, 32) in cells of the scene with the edit's attribute moved by `change`.

    Hidden points keep the flow of the surface they lie on: a warp must take something there.
    """
    source, attribute = scene_of(image.name), attribute_of(edit)
    target = source if attribute is None else edited(source, attribute, change)
    return F.avg_pool2d(true_flow(source, target).flow, 2) / 2


def table(column: str, rows: Sequence[Mapping[str, Values]]) -> Iterator[str]:
    """A Markdown table: means over images with their intervals, and what the true flow wins over WarpRes's."""
    shown = RECONSTRUCTION if column == "reconstruction" else EDIT
    yield f"\n{column}, n = {len(rows)}\n"
    lines = {name: {metric: [row[name][metric] for row in rows] for metric in shown} for name in FLOWS}
    lines["true − WarpRes's"] = {
        metric: [true - own for true, own in zip(lines[TRUE][metric], lines[OWN][metric], strict=True)]
        for metric in shown
    }
    heads = ["flow", *(heading for heading, _ in shown.values())]
    texts = [
        [name, *(_cell(columns[metric], digits) for metric, (_, digits) in shown.items())]
        for name, columns in lines.items()
    ]
    yield from markdown_lines([heads, *texts])


def _cell(values: Sequence[float], digits: int) -> str:
    low, high = mean_interval(values, load_protocol(PROTOCOL).numbers)
    mean = f"{np.mean(values):.{digits}f}"
    return mean if low is None or high is None else f"{mean} [{low:.{digits}f}, {high:.{digits}f}]"


def main(words: Sequence[str] | None = None) -> None:
    """The command line: measure, and print a table a pass."""
    parser = argparse.ArgumentParser(prog="python -m bench.run.upper_bound", description="WarpRes by true flow.")
    parser.add_argument("--limit", type=int, default=150, metavar="N", help="test images (150)")
    parser.add_argument("--edits", default="pose,smile", help="edit names (pose,smile)")
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    bound, world = UpperBound(), open_world("test", options.limit)
    passes = bound.passes(options.edits.split(","))
    found: dict[str, list[dict[str, Values]]] = {edit.pass_name: [] for edit in passes}
    for done, image in enumerate(world.images):
        print(f"\r{done} of {len(world.images)}", end="", file=sys.stderr, flush=True)
        for column, values in bound.measure(image, world.read(image), passes).items():
            found[column].append(values)
    print(file=sys.stderr)
    for column, rows in found.items():
        print("\n".join(table(column, rows)))


if __name__ == "__main__":
    main()
