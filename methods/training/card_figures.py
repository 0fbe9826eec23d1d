"""What the model card draws: how every shipped network learned, and the trade-off that the sweep measured."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 5
HELD_OUT = ("psnr", "epe_px", "mse", "psnr_db", "verification_accuracy", "smile+/flow_slope")  # the first that is there
# How the card calls held-out figures, with their units; others by their own name.
FIGURES = {
    "psnr": "PSNR (dB)",
    "psnr_db": "PSNR (dB)",
    "psnr_before": "PSNR before (dB)",
    "asked_psnr": "PSNR asked (dB)",
    "id": "ID",
    "mse": "MSE",
    "epe_px": "EPE (px)",
    "epe_px_of_zero": "EPE of no flow (px)",
    "yaw+17/flow_epe": "EPE, yaw +17 (px)",
    "smile+/flow_slope": "flow slope, smile +",
    **{
        f"{edit}{sign}/kept": f"kept share, {edit} {sign.replace('-', '−')}"
        for edit in ("pose", "smile")
        for sign in "+-"
    },
}
# Points of a label's height and width in the trade-off, so that none stands over another.
_LINE, _ACROSS = 8.0, 24.0
NAMES = {"styleres": "StyleRes", "warpres": "WarpRes"}
Curve = tuple[list[float], list[float]]


def figure_name(name: str) -> str:
    """How the card calls a held-out figure: "asked_psnr" -> "PSNR asked (dB)"."""
    return FIGURES.get(name, name.replace("_", " "))


def records(log: Path) -> list[dict[str, Any]]:
    """Records of a thinned `log.jsonl`."""
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


def loss_curve(log: Sequence[Mapping[str, Any]]) -> Curve:
    """Steps, and the mean sum of the network's losses since the record before.

    What a discriminator loses is none of them. A record of few steps may lack terms that join every few steps, and a
    warm-up has others: records with fewer terms than the middle one are left out.
    """
    shown = [(record["step"], _own_losses(record["losses"])) for record in log if "losses" in record]
    usual = sorted(len(terms) for _, terms in shown)[len(shown) // 2] if shown else 0
    whole = [(step, terms) for step, terms in shown if len(terms) >= usual]
    return [step for step, _ in whole], [sum(terms.values()) for _, terms in whole]


def _own_losses(losses: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in losses.items() if "/" not in name and not name.endswith("discriminator")}


def held_out_curve(log: Sequence[Mapping[str, Any]]) -> tuple[str, Curve]:
    """The name of the figure that says most of a network, and its course."""
    shown = [record for record in log if "check" in record]
    name = next((name for name in HELD_OUT if any(name in r["check"] for r in shown)), "")
    points = [(float(r["step"]), float(r["check"][name])) for r in shown if name in r["check"]]
    return name, ([step for step, _ in points], [value for _, value in points])


def late_gain(log: Sequence[Mapping[str, Any]]) -> float | None:
    """By which share the held-out error (`mse`) still fell over the last fifth of a training; None without figures.

    Where the last fifth began, the error is that on the line between the checks before and after.
    """
    points = [(record["step"], record["check"]["mse"]) for record in log if "mse" in record.get("check", {})]
    if not points or points[0][0] > 0.8 * points[-1][0]:
        return None
    steps, errors = zip(*points, strict=True)
    return 1 - errors[-1] / float(np.interp(0.8 * steps[-1], steps, errors))


def draw_training(logs: Sequence[Path], path: Path) -> None:
    """One panel a network: sum of its losses (grey, left) and the held-out figure (blue, right) over the steps."""
    plt = _pyplot()
    rows = -(-len(logs) // COLUMNS)
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(3.2 * COLUMNS, 2.2 * rows), squeeze=False)
    for axis, log in zip(axes.flat, logs, strict=False):
        content = records(log)
        axis.plot(*loss_curve(content), color="0.6", linewidth=1)
        axis.set_title(log.stem, fontsize=9)
        axis.tick_params(labelsize=7)
        axis.set_xlabel("step", fontsize=7)
        axis.set_ylabel("losses", fontsize=7, color="0.4")
        name, curve = held_out_curve(content)
        if name:
            right = axis.twinx()
            right.plot(*curve, color="C0", marker=".", linewidth=1)
            right.set_ylabel(figure_name(name), fontsize=7, color="C0")
            right.tick_params(labelsize=7)
    for axis in axes.flat[len(logs) :]:
        axis.set_visible(False)
    figure.tight_layout()
    _save(plt, figure, path)


def kept_turn(figures: Mapping[str, float]) -> float:
    """Mean kept share of the turn that was asked for, of both directions."""
    return (figures["pose+/kept"] + figures["pose-/kept"]) / 2


def trade_off(curves: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str, list[Mapping[str, Any]]]]:
    """Method, set of losses and its trials, lowest weight first."""
    for method in NAMES:
        own = [trial for trial in curves if trial["method"] == method]
        paper = [trial for trial in own if not trial["w_consistency"]]
        yield method, "paper", sorted(paper, key=lambda trial: trial["regulariser"])
        consistent = [trial for trial in own if trial["w_consistency"]]
        yield method, "w-consistency", sorted(consistent, key=lambda trial: trial["w_consistency"])


def draw_trade_off(sweep: Mapping[str, Any], path: Path) -> None:
    """Reconstruction, and the mean PSNR to the asked truth, against the kept share of the turn."""
    plt = _pyplot()
    _save(plt, trade_off_figure(plt, sweep), path)


def trade_off_figure(plt: ModuleType, sweep: Mapping[str, Any]) -> Figure:
    """The trade-off as a figure; each point has its weight beside it: lambda_F at the right of a curve of the paper's
    losses, w-consistency's at the left of one with it.
    """
    figure: Figure
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.2))
    labels = (("psnr", "PSNR of the reconstruction (dB)"), ("asked_psnr", "PSNR asked, mean (dB)"))
    words = {"paper": "paper's losses (numbers: lambda_F)", "w-consistency": "with w-consistency (numbers: its weight)"}
    numbers: list[list[tuple[float, float, str, int]]] = []
    for axis, (key, label) in zip(axes, labels, strict=True):
        numbers.append([])
        for method, losses, trials in trade_off(sweep["curves"]):
            x, y = [kept_turn(trial["figures"]) for trial in trials], [trial["figures"][key] for trial in trials]
            colour, style = ("C0" if method == "styleres" else "C1"), ("-o" if losses == "paper" else "--s")
            axis.plot(x, y, style, color=colour, label=f"{NAMES[method]}, {words[losses]}")
            weight = "regulariser" if losses == "paper" else "w_consistency"
            side = 1 if losses == "paper" else -1
            numbers[-1] += [(px, py, f"{t[weight]:g}", side) for t, px, py in zip(trials, x, y, strict=True)]
        axis.set_xlabel("kept share of the turn")
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
        axis.margins(x=0.1)
    # Below both panels, where no curve runs.
    figure.legend(*axes[0].get_legend_handles_labels(), fontsize=8, loc="lower center", ncols=2, frameon=False)
    figure.tight_layout(rect=(0, 0.11, 1, 1))
    for axis, own in zip(axes, numbers, strict=True):
        _number(axis, own)
    return figure


def _number(axis: Axes, points: Sequence[tuple[float, float, str, int]]) -> None:
    """Write a number beside each point (x, y, text, side), from the top down, none over another."""
    scale = 72 / axis.figure.dpi
    placed: list[tuple[float, float]] = []
    for x, y, text, side in sorted(points, key=lambda point: -point[1]):
        across, up = (float(own) * scale for own in axis.transData.transform((x, y)))
        at, height = across + side * _ACROSS / 2, up
        for other, taken in placed:
            if abs(at - other) < _ACROSS and height > taken - _LINE:
                height = taken - _LINE
        placed.append((at, height))
        axis.annotate(
            text,
            (x, y),
            fontsize=7,
            xytext=(5 * side, height - up),
            textcoords="offset points",
            va="center",
            ha="left" if side > 0 else "right",
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.3},
        )


def _pyplot() -> ModuleType:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    return pyplot


def _save(plt: ModuleType, figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=80, metadata={"Software": None})
    plt.close(figure)
