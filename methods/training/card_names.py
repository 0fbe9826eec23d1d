"""Names that papers, cards and other trainers have for what a recipe calls otherwise, or has at full size alone."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields

from bench.core.errors import UsageError

# What a recipe calls it.
_CALLED = {
    "ema": "average, a half-life in images",
    "cycle_id_weight": "cycle.identity",
    "base_encoder": "base",
    "d_first": "discriminator_first",
    "warm_up_adapters": "adapter_warm_up",
    "alpha_share": "edit_share",
    "flip": "mirror",
    "lr": "rate",
    "learning_rate": "rate",
    "batch_size": "batch",
    "iterations": "steps",
    "lambda_r1": "weights.l2 (of the second pass: cycle.l2)",
    "lambda_r2": "weights.perceptual (of the second pass: cycle.perceptual)",
    "lambda_r3": "weights.identity (of the second pass: cycle.identity)",
    "lambda_a": "weights.adversarial",
    "lambda_f": "weights.regulariser",
    "lambda_fl": "weights.flow",
}


def refuse(names: Collection[str], known: Collection[str], where: str) -> None:
    """Raise UsageError for a name that is known elsewhere, saying what it is here.

    Args:
        names: Keys of a recipe.
        known: Those that its task has.
    """
    from methods.training.full_size.options import Options

    at_full_size = {item.name for item in fields(Options)}
    for name in names:
        if name in known:
            continue
        if called := _CALLED.get(name.lower()):
            raise UsageError(f"{where}: there is no key {name!r}", f"it is called {called}")
        if name in at_full_size:
            raise UsageError(
                f"{where}: {name!r} is a choice of full-size trainings alone", "recipes faces/... and cars/..."
            )
