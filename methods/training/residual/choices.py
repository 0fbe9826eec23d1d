"""What a sweep chose for a recipe: weights that its file leaves to validation people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bench.core.errors import MissingError
from methods.training.residual.options import Options
from methods.training.world import find


def kind_of(options: Options) -> str:
    """Which of a method's two sets of losses a recipe has: "paper", or "w-consistency" (not in the paper)."""
    return "w-consistency" if options.weights.w_consistency else "paper"


def with_choices(options: Options, runs: Path) -> Options:
    """The options with the weights that the sweep of `options.choices` chose for this model and set of losses.

    Raises MissingError where the file says nothing of them.
    """
    if not options.choices:
        return options
    path = find(options.choices, runs)
    chosen: Mapping[str, Mapping[str, float]] = json.loads(path.read_text(encoding="utf-8"))["chosen"]
    key = f"{options.model}/{kind_of(options)}"
    if key not in chosen:
        raise MissingError(
            f"{path} has chosen nothing for {key}",
            f"it has: {', '.join(sorted(chosen))}; make it again: python -m methods.training world/sweep",
        )
    return replace(options, weights=replace(options.weights, **chosen[key]))
