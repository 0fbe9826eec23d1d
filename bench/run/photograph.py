"""One photograph through a method: inverted once, then each edit and sweep; nothing is scored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bench.core.contract import EditPass, Inversion, Method, listen
from bench.edits.change import Change, change_of
from bench.run.input import to_input


@dataclass(frozen=True)
class Output:
    """What a method made of a photograph.

    Attributes:
        name: "reconstruction" or edit and strength, "smile+3".
        image: uint8 (H, W, 3).
        flow: float32 (2, h, w) in cells of the feature grid, where the method announces one.
    """

    name: str
    image: np.ndarray
    flow: np.ndarray | None = None


def pass_name(edit: str, strength: float) -> str:
    """ "smile+3", "pose-2.5": the edit and its signed strength."""
    return f"{edit}{strength:+g}"


@torch.inference_mode()
def edit_photograph(method: Method, pixels: np.ndarray, passes: Sequence[EditPass], device: str) -> Iterator[Output]:
    """The reconstruction, then each pass, in order.

    Args:
        pixels: uint8 (H, W, 3), aligned as the method's data are.
        passes: Each with a direction and a strength.
    """
    inversion = method.invert(to_input(pixels, method)[None].to(device))
    yield _made(method, inversion, "reconstruction", Change())
    for edit in passes:
        yield _made(method, inversion, pass_name(edit.pass_name, edit.strength), change_of({0: edit}, inversion))


def _made(method: Method, inversion: Inversion, name: str, change: Change) -> Output:
    announced: dict[str, Tensor] = {}
    with listen(values=announced.__setitem__):
        image = change.apply(method, inversion)[0]
    flow = announced["flow"][0].float().cpu().numpy() if "flow" in announced else None
    return Output(name, _bytes(image), flow)


def _bytes(image: Tensor) -> np.ndarray:
    """float (3, H, W) in about [-1, 1] as uint8 (H, W, 3), rounded."""
    levels = ((image.float().clamp(-1, 1) + 1) * 127.5).round()
    return levels.to(torch.uint8).permute(1, 2, 0).cpu().numpy()
