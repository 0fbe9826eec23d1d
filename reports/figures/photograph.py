"""Files of an edited photograph: each image, a strip of all, flows, and a GIF a sweep."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from bench.core.files import write_atomic
from bench.run.photograph import Output
from reports.figures.flow_view import flow_image, full_length

STRIP_HEIGHT = 256
_LABEL = 22
_FRAME_MS = 120


def write_edits(folder: Path, pixels: np.ndarray, outputs: Sequence[Output]) -> None:
    """input.png, one PNG an output, `<name>.flow.png` where there is a flow, and strip.png.

    Args:
        pixels: uint8 (H, W, 3), what the method was given.
    """
    write_atomic(folder / "input.png", _png(Image.fromarray(pixels)))
    flows = [output.flow for output in outputs if output.flow is not None]
    longest = full_length(*flows)
    for output in outputs:
        image = Image.fromarray(output.image)
        write_atomic(folder / f"{output.name}.png", _png(image))
        if output.flow is not None and output.name != "reconstruction":
            write_atomic(folder / f"{output.name}.flow.png", _png(flow_image(output.flow, image.size, longest)))
    write_atomic(folder / "strip.png", _png(_strip([("input", pixels), *((o.name, o.image) for o in outputs)])))


def write_sweep(folder: Path, name: str, frames: Sequence[Output]) -> None:
    """`<name>.gif`: there and back again, looping, and `<name>.sweep.png`: all strengths beside each other."""
    images = [Image.fromarray(frame.image) for frame in frames]
    loop = [*images, *images[-2:0:-1]]
    buffer = io.BytesIO()
    loop[0].save(buffer, "GIF", save_all=True, append_images=loop[1:], duration=_FRAME_MS, loop=0)
    write_atomic(folder / f"{name}.gif", buffer.getvalue())
    write_atomic(folder / f"{name}.sweep.png", _png(_strip([(frame.name, frame.image) for frame in frames])))


def _strip(parts: Sequence[tuple[str, np.ndarray]]) -> Image.Image:
    """Images side by side at one height, each under its name."""
    tiles = []
    for name, pixels in parts:
        image = Image.fromarray(pixels)
        width = round(image.width * STRIP_HEIGHT / image.height)
        sharp = Image.Resampling.NEAREST if image.height < STRIP_HEIGHT else Image.Resampling.LANCZOS
        tile = Image.new("RGB", (width, STRIP_HEIGHT + _LABEL), "white")
        tile.paste(image.resize((width, STRIP_HEIGHT), sharp), (0, _LABEL))
        ImageDraw.Draw(tile).text((4, 4), name, fill="black", font=ImageFont.load_default(14))
        tiles.append(tile)
    strip = Image.new("RGB", (sum(tile.width for tile in tiles) + 4 * (len(tiles) - 1), tiles[0].height), "white")
    left = 0
    for tile in tiles:
        strip.paste(tile, (left, 0))
        left += tile.width + 4
    return strip


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
