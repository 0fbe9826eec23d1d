"""Whether checkpoint files are a method's, from their names and shapes alone: before a run, and in its plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from bench.core.checkpoint import read_checkpoint
from bench.core.contract import CameraMethod, Domain, KnowsWidth, Method
from bench.core.samples import DrawsSamples
from methods.registry import Checkpoint, MethodEntry, assembled


@dataclass(frozen=True)
class Fit:
    """What files say of the method they are for.

    Attributes:
        latent_rows: L of its codes; 0 where only the loaded method tells.
        width: D of its codes; 0 where only the loaded method tells.
    """

    latent_rows: int = 0
    width: int = 0


def fit_of(entry: MethodEntry, domain: Domain, paths: Sequence[Path]) -> Fit:
    """Build the method on tensors without values, as `load_method` would on the files' own.

    Nothing of a file is read beyond what names its tensors, and nothing is computed.

    Raises:
        UsageError: The method has no network for the domain, or the files are too few or too many.
        MissingError: A file is absent, damaged, or of something else.
    """
    checkpoints = [Checkpoint(path, read_checkpoint(path, values=False)) for path in paths]
    try:
        method: object = assembled(entry, domain, checkpoints)
    except (RuntimeError, NotImplementedError):
        # A method that looks at values while it is built can be judged only when it is loaded.
        return Fit()
    if not isinstance(method, Method):
        return Fit()  # a plug-in that keeps no contract: `check` says what it lacks
    return Fit(method.latent_rows, width_of(method))


def width_of(method: Method, device: str = "cpu", *, loaded: bool = False) -> int:
    """D of a method's codes: as it says, of the generator it draws samples from, or of what it inverts.

    It is asked to invert no image at all, then one that has no values: neither computes anything; where that does not
    tell and it is `loaded`, one black image. 0 where nothing tells.
    """
    if isinstance(method, KnowsWidth):
        return int(method.latent_width)
    if isinstance(method, DrawsSamples):
        return method.sampled_generator.config.style_dim
    if isinstance(method, CameraMethod):
        return 0
    for count, where in ((0, device), (1, "meta"), *(((1, device),) if loaded else ())):
        try:
            with torch.random.fork_rng(devices=()), torch.inference_mode():
                codes = method.invert(torch.zeros(count, 3, *method.input_size, device=where)).codes
            return int(codes.shape[-1]) if codes.ndim == 3 else 0
        except Exception:  # what a method of somebody's does with such images is its own business
            continue
    return 0
