"""The suite from Python: a method, images, a direction, a run.

from bench.api import load_direction, load_images, load_method, save_image

method = load_method("warpres", weights="synthetic")
inversion = method.invert(load_images(["face.png"], method))
edited = method.edit(inversion, 3 * load_direction("pose", method).vector)
save_image(edited[0], "turned.png")
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.core.strangers import refuse_strangers

refuse_strangers()  # before anything is imported under a name that may be another's

# ruff: noqa: E402
import io

import torch
from PIL import Image
from torch import Tensor

from bench.core.contract import Direction, Method
from bench.core.domains import find_domain
from bench.core.files import write_atomic
from bench.data.images import decode
from bench.edits.cards import find_card, generator_of
from bench.edits.directions import direction_folders
from bench.edits.directions import load_direction as _load
from bench.results.wholeness import load_run
from bench.run.input import to_input
from bench.weights import registry
from methods import load_method
from methods.checkpoint_files import shipped_folders

__all__ = ["load_direction", "load_images", "load_method", "load_run", "save_image"]


def load_images(paths: Sequence[str | Path], method: Method, *, align: bool = False) -> Tensor:
    """Image files as a method takes them.

    Args:
        paths: Image files, upright by their EXIF.
        method: See `load_method`.
        align: Cut photographs of faces as FFHQ does (extra `align`).

    Returns:
        float32 (N, 3, *method.input_size) in [-1, 1], RGB.

    Raises:
        ImageError: A file that cannot be used, or is not of the method's shape and would be squashed; no face.
        UsageError: Several faces.
        MissingError: The extra `align` is not installed.
    """
    aspect = None if align else find_domain(method.domain).aspect
    pixels = [decode(Path(path), aspect) for path in paths]
    if align:
        from bench.data.align.faces import align as aligned

        pixels = [aligned(own, max(method.output_size), str(path)) for own, path in zip(pixels, paths, strict=True)]
    return torch.stack([to_input(own, method) for own in pixels])


def save_image(image: Tensor, path: str | Path) -> Path:
    """Write an image (3, H, W) in about [-1, 1], clamped, as a PNG file. Raises MissingError where it cannot."""
    pixels = ((image.detach().cpu().float().clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return write_atomic(Path(path), out.getvalue())


def load_direction(
    name: str, method: Method, *, folders: Sequence[str | Path] = (), cards: Sequence[str | Path] = ()
) -> Direction:
    """An edit's direction for a method's generator.

    Args:
        name: An edit (`run_bench.py edits ls`), "pose".
        method: See `load_method`.
        folders: Where direction files lie, besides those that are shipped or were fetched.
        cards: Further edit cards.

    Returns:
        The direction. `vector` is float32 (L, D); `delta(codes, strength)` is the change (N, L, D) of codes, which
        holds for every rule.

    Raises:
        UsageError: No such edit for this generator.
        MissingError: Its file is not here, with the command that gets it.
    """
    rows = method.latent_rows
    generator = generator_of(method.domain, rows)
    nearby = [*map(Path, folders), *shipped_folders()]

    def find(file: str) -> Path:
        known = file in registry.entries() and not any((folder / file).exists() for folder in nearby)
        return registry.locate(file) if known else direction_folders(nearby)(file)

    card = find_card(name, generator, [Path(card) for card in cards])
    return _load(card, find, generator=generator, latent_rows=rows, method=method.name)
