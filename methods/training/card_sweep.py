"""What the model card says of the sweep: its trials, what it chose, and whether its grids end too early."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.core.files import read_json
from methods.training.card_figures import NAMES, kept_turn, trade_off
from methods.training.sweep import SCORE

TRADE_OFF = "trade-off.png"
TRIAL_HEAD = (
    "| method | losses | lambda_F | w-consistency | images | PSNR (dB) | kept share, pose | kept share, smile | "
    "PSNR asked (dB) |\n|---|---|---|---|---|---|---|---|---|"
)


def sweep_lines(folder: Path) -> Iterator[str]:
    """The card's section on the weights of the losses; nothing where the folder has no `sweep.json`."""
    path = folder / "sweep.json"
    if not path.is_file():
        return
    sweep = read_json(path)
    yield "\n## Weights of the losses\n"
    yield f"Rule, one for both methods: {sweep['rule']}. All trials go on from the common start; w-consistency is"
    yield "not in the paper. Bold: chosen.\n"
    yield TRIAL_HEAD
    for _, losses, trials in trade_off(sweep["curves"]):
        best = max(trials, key=lambda trial: trial["figures"][SCORE], default=None)
        yield from (_trial_line(trial, losses, bold=trial is best) for trial in trials)
    if edges := [text for _, _, trials in trade_off(sweep["curves"]) for text in at_edge(trials)]:
        yield f"\nThe smallest of its grid was chosen, and smaller ones were not tried from there: {'; '.join(edges)}."
    if tried := sweep.get("edges"):
        yield "\nBelow the grids, from the shipped network of before with as many images more each; nothing was chosen"
        yield "by them:\n"
        yield TRIAL_HEAD
        yield from (_trial_line(trial, "w-consistency" if trial["w_consistency"] else "paper") for trial in tried)
    yield f"\n![Reconstruction, and PSNR asked, against the kept share of the turn]({TRADE_OFF})"


def _trial_line(trial: Mapping[str, Any], losses: str, *, bold: bool = False) -> str:
    figures = trial["figures"]
    smile = (figures["smile+/kept"] + figures["smile-/kept"]) / 2
    numbers = f"{figures['psnr']:.2f} | {kept_turn(figures):.2f} | {smile:.2f}"
    weights = f"{trial['regulariser']:g} | {trial['w_consistency']:g} | {trial['images']:,}"
    score = f"**{figures[SCORE]:.2f}**" if bold else f"{figures[SCORE]:.2f}"
    return f"| {NAMES[trial['method']]} | {losses} | {weights} | {numbers} | {score} |"


def at_edge(trials: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What is to be said where the least weight that was tried is the best, as `sweep.json` has the trials."""
    weight = "w_consistency" if any(trial["w_consistency"] for trial in trials) else "regulariser"
    first, *others = sorted(trials, key=lambda trial: trial[weight])
    scores = [trial["figures"][SCORE] for trial in (first, *others)]
    if others and scores[0] == max(scores):
        name = {"regulariser": "lambda_F", "w_consistency": "w-consistency"}[weight]
        lead = scores[0] - scores[1]
        yield f"{name} {first[weight]:g} of {NAMES[first['method']]}, {lead:.2f} dB before {others[0][weight]:g}"
