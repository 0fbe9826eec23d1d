"""In which arithmetic a training computes: bfloat16 halves memory, but not every CPU multiplies faster in it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Literal, get_args

import torch
from torch.nn import functional as F

from bench.core.errors import UsageError
from methods.training.checkpoints import newest_note
from methods.training.journal import tell
from methods.training.recipe import Recipe
from methods.training.task import Context

Arithmetic = Literal["bfloat16", "float32"]
NAMES: tuple[Arithmetic, ...] = get_args(Arithmetic)
# Tasks whose gradients bfloat16 bends, at the shipped weights: their cosine to those in float32 is .96 (hfgi), .988
# (teacher), .992 (w_encoder) or no number (hyperstyle), elsewhere .995 and more. They are always trained in float32.
BENT = ("hfgi", "hyperstyle", "teacher", "w_encoder")
# A convolution of the size that most of a training on the embedded world is made of: images, channels, side.
_TYPICAL = (4, 64, 32)


def settled(recipe: Recipe, context: Context, asked: str = "auto", *, fresh: bool = False) -> Recipe:
    """The recipe as it is trained here: its `bfloat16` kept, or False where float32 is taken in its place.

    Its digest stays that of its own values. Some tasks are never trained in bfloat16 (`BENT`). Of the others, what is
    asked for comes first, then what a checkpoint was trained in, so that it carries on to the same bits, then, on a
    CPU, what is faster there.

    Args:
        asked: "auto", or one of `NAMES`.
        fresh: Whether checkpoints are left out.

    Raises:
        UsageError: bfloat16 is asked for of a recipe that is for float32.
    """
    if recipe.task in BENT:
        if asked == "bfloat16":
            raise UsageError(f"{recipe.name} is for float32: bfloat16 bends its gradients", "leave --arithmetic out")
        return replace(recipe, bfloat16=False)
    if not recipe.bfloat16:
        if asked == "bfloat16":
            raise UsageError(f"{recipe.name} is for float32", "--set bfloat16=true makes it another recipe")
        return recipe
    processes, main = context.processes, context.processes.rank == 0
    exact, why = False, ""
    if main:  # ranks must agree, and their measurements might not
        exact, why = _float32(recipe, context, asked, fresh=fresh)
    exact = processes.any(exact, context.device)
    if main:
        tell(f"{recipe.name}: trains in {arithmetic_of(replace(recipe, bfloat16=not exact))}, {why}")
    return replace(recipe, bfloat16=not exact)


def arithmetic_of(recipe: Recipe) -> Arithmetic:
    """What a settled recipe is trained in."""
    return "bfloat16" if recipe.bfloat16 else "float32"


def _float32(recipe: Recipe, context: Context, asked: str, *, fresh: bool) -> tuple[bool, str]:
    """Whether a recipe for bfloat16 is trained in float32, and why."""
    if asked != "auto":
        return asked == "float32", "as asked"
    note = newest_note(context.runs / recipe.name)
    if note.step and not fresh:
        return note.arithmetic == "float32", f"as its first {note.step} steps were"
    if context.device.type != "cpu":
        return False, "as the recipe says"
    ratio = seconds(torch.bfloat16) / seconds(torch.float32)
    return ratio >= 1, f"in which this CPU is {max(ratio, 1 / ratio):.1f} times as fast"


def seconds(dtype: torch.dtype) -> float:
    """Seconds of this process's CPU time for a typical convolution, forwards and backwards; the least of three."""
    count, channels, side = _TYPICAL
    random = torch.Generator().manual_seed(0)
    images, weight = (
        torch.randn(size, generator=random).to(dtype, memory_format=torch.channels_last).requires_grad_(True)
        for size in ((count, channels, side, side), (channels, channels, 3, 3))
    )
    found = []
    for _ in range(4):  # the first one compiles
        began = time.process_time()
        made = F.conv2d(images, weight, padding=1)
        torch.autograd.grad(made, (images, weight), made.detach())
        found.append(time.process_time() - began)
    return min(found[1:])
