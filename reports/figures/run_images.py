"""The images a run kept, gathered by image. A file that cannot be read counts as one that is not there.

On disk: `pictures/<method>/<pass>/<image>.png`, with "real/original" for the inputs, "truth" for true edits, and
flows beside the images as `<image>.flow.npy`, float32 (2, h, w) in cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.core.errors import ImageError, MissingError
from bench.core.names import kept_as
from bench.core.small_files import read_array
from bench.data.images import decode

INPUT, TRUTH = ("real", "original"), "truth"
_FLOW = ".flow.npy"


@dataclass
class RunImage:
    """What a run kept of one image.

    Attributes:
        name: Stem of the image's name.
        input: The input, or None.
        made: (method, pass) -> image.
        true: Pass -> the true edit.
        flows: (method, pass) -> float32 (2, h, w) in cells.
        true_flows: Pass -> the same.
    """

    name: str
    input: Image.Image | None = None
    made: dict[tuple[str, str], Image.Image] = field(default_factory=dict)
    true: dict[str, Image.Image] = field(default_factory=dict)
    flows: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    true_flows: dict[str, np.ndarray] = field(default_factory=dict)


def read_images(run: Path, first: int, manifest: Mapping[str, Any] | None = None) -> list[RunImage]:
    """The first images of a run, sorted by name (numbers by their value), with all that was made of them.

    With a manifest, only what its plan has: an earlier plan may have left images of other methods and passes.
    """
    folder = run / "pictures"
    images: dict[str, RunImage] = {}
    files = [path for path in sorted(folder.glob("*/*/*")) if path.suffix in (".png", ".npy")]
    files = [path for path in files if _planned(path, manifest or {})]
    names = sorted({_name(path) for path in files}, key=_by_number)[:first]
    for path in files:
        if (name := _name(path)) in names:
            _take(images.setdefault(name, RunImage(name)), path)
    return [images[name] for name in names]


def _planned(path: Path, manifest: Mapping[str, Any]) -> bool:
    method, pass_name = path.parts[-3:-1]
    methods, passes = manifest.get("methods") or (), {edit["column"] for edit in manifest.get("passes") or ()}
    names = {kept_as(name) for name in manifest.get("pictures") or ()}
    if names and _name(path) not in names:
        return False
    if (method, pass_name) == INPUT:
        return True
    return (not methods or method in methods or method == TRUTH) and (not passes or pass_name in passes)


def _name(path: Path) -> str:
    return path.name.removesuffix(_FLOW) if path.name.endswith(_FLOW) else path.stem


def _by_number(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isdecimal() else (1 << 62, name)


def _take(kept: RunImage, path: Path) -> None:
    method, pass_name = path.parts[-3:-1]
    if path.name.endswith(_FLOW):
        flow = _read_flow(path)
        if flow is not None and method == TRUTH:
            kept.true_flows[pass_name] = flow
        elif flow is not None:
            kept.flows[method, pass_name] = flow
    elif path.suffix == ".png" and (image := _read_image(path)) is not None:
        if (method, pass_name) == INPUT:
            kept.input = image
        elif method == TRUTH:
            kept.true[pass_name] = image
        else:
            kept.made[method, pass_name] = image


def _read_image(path: Path) -> Image.Image | None:
    try:
        return Image.fromarray(decode(path))
    except ImageError:
        return None


def _read_flow(path: Path) -> np.ndarray | None:
    try:
        flow = read_array(path).numpy()
    except MissingError:
        return None
    good = flow.ndim == 3 and flow.shape[0] == 2 and min(flow.shape) > 0 and np.issubdtype(flow.dtype, np.floating)
    return flow if good else None


def passes_of(images: Sequence[RunImage], planned: Sequence[str]) -> list[str]:
    """Passes that have images, in the plan's order, others after them by name."""
    found = {pass_name for image in images for _, pass_name in image.made}
    return [pass_name for pass_name in planned if pass_name in found] + sorted(found - set(planned))
