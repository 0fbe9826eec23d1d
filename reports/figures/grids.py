"""Image grids from the images a run kept: who made what of whom. What is not there is left out or stays empty."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from reports.figures.flow_view import flow_image, full_length, wheel
from reports.figures.run_images import RunImage, passes_of
from reports.inputs import Facts
from reports.naming import RECONSTRUCTION, in_reading_order, is_reference, method_title, split_pass

_GAP = 6
_HEAD = 22
_SIDE = 176
_LINE = 18
_LEGEND_WIDTH = 690
_INK, _PALE, _PAPER = (25, 25, 25), (110, 110, 110), (255, 255, 255)


@dataclass(frozen=True)
class Grid:
    """One finished grid: file name without suffix, a sentence for readers, PNG bytes, its size in pixels, and what is
    to be seen in it in words."""

    name: str
    caption: str
    png: bytes
    size: tuple[int, int]
    alt: str = ""


def draw_grids(images: Sequence[RunImage], passes: Sequence[str], facts: Facts) -> list[Grid]:
    """One grid an image (methods down, passes across) and one a pass (images down, methods across)."""
    methods = [
        name
        for name in in_reading_order((method for image in images for method, _ in image.made), facts.places)
        if not is_reference(name, facts.references)
    ]
    passes = passes_of(images, passes)
    if not methods:
        return []
    longest = _common_length(images, passes)
    sheets = [_image_sheet(image, passes, methods, facts, longest) for image in images]
    return [*sheets, *(_pass_grid(images, pass_name, methods, facts, longest) for pass_name in passes)]


@dataclass(frozen=True)
class Field:
    """One field of a grid: an image, a flow with its scale, or a word on why there is neither."""

    image: Image.Image | None = None
    flow: np.ndarray | None = None
    longest: float = 1.0
    why: str = "not kept"


def _why(image: RunImage, pass_name: str) -> str:
    """Why an image has nothing to show in a pass."""
    if pass_name == RECONSTRUCTION:
        return "no edit"
    return "not kept" if any(name == pass_name for _, name in image.made) else "not in this\nedit's subset"


def _pass_grid(
    images: Sequence[RunImage], pass_name: str, methods: Sequence[str], facts: Facts, longest: float
) -> Grid:
    name = split_pass(pass_name)
    with_true = any(pass_name in image.true for image in images)
    flowing = [method for method in methods if any((method, pass_name) in image.flows for image in images)]
    with_true_flow = bool(flowing) and any(pass_name in image.true_flows for image in images)
    heads = ["Input", *(method_title(method, facts.titles) for method in methods), *["True edit, as asked"] * with_true]
    heads += [_flow_title(method, facts) for method in flowing] + ["True flow"] * with_true_flow
    rows = []
    for image in images:
        why = _why(image, pass_name)
        row = [Field(image.input), *(Field(image.made.get((method, pass_name)), why=why) for method in methods)]
        row += [Field(image.true.get(pass_name), why=why)] * with_true
        row += [Field(flow=image.flows.get((method, pass_name)), longest=longest, why=why) for method in flowing]
        row += [Field(flow=image.true_flows.get(pass_name), longest=longest, why=why)] * with_true_flow
        rows.append(row)
    caption = f"{name.title}: the input, what each method makes of it" + (
        ", and the true edit as it was asked for." if with_true else "."
    )
    legend = longest if flowing else None
    return compose(f"pass-{pass_name}", caption, name.title, heads, [image.name for image in images], rows, legend)


def _image_sheet(image: RunImage, passes: Sequence[str], methods: Sequence[str], facts: Facts, longest: float) -> Grid:
    """The first row is the truth: the input stands where its reconstruction is to be, true edits follow."""

    def flow(found: np.ndarray | None, pass_name: str) -> Field:
        return Field(flow=found, longest=longest, why=_why(image, pass_name))

    rows = [[Field(image.true.get(c) or (image.input if c == passes[0] else None), why=_why(image, c)) for c in passes]]
    names = ["Input, true edits as asked" if image.true else "Input"]
    for method in methods:
        rows.append([Field(image.made.get((method, c)), why=_why(image, c)) for c in passes])
        names.append(method_title(method, facts.titles))
    flowing = [method for method in methods if any((method, c) in image.flows for c in passes)]
    for method in flowing:
        rows.append([flow(image.flows.get((method, c)), c) for c in passes])
        names.append(_flow_title(method, facts))
    if flowing and image.true_flows:
        rows.append([flow(image.true_flows.get(c), c) for c in passes])
        names.append("True flow")
    title = f"Image {image.name}"
    heads = [split_pass(pass_name).title for pass_name in passes]
    legend = longest if flowing else None
    caption = f"{title}: every method, every pass."
    return compose(f"picture-{image.name}", caption, title, heads, names, rows, legend)


def _flow_title(method: str, facts: Facts) -> str:
    return f"{method_title(method, facts.titles)}'s flow"


def _common_length(images: Sequence[RunImage], passes: Sequence[str]) -> float:
    made = [flow for image in images for (_, pass_name), flow in image.flows.items() if pass_name in passes]
    true = [flow for image in images for pass_name, flow in image.true_flows.items() if pass_name in passes]
    return full_length(*made, *true)


def compose(
    name: str,
    caption: str,
    title: str,
    heads: Sequence[str],
    names: Sequence[str],
    rows: Sequence[Sequence[Field]],
    legend: float | None,
    foot: Sequence[str] = (),
) -> Grid:
    """Put fields on white paper: heads above, names at the left, the flow's wheel and the lines of `foot` below."""
    width, height = _field_size(rows)
    left = max(int(_font(13).getlength(text)) for text in names) + 2 * _GAP
    below = (74 if legend is not None else 0) + _LINE * len(foot)
    written = max((int(_font(12).getlength(line)) + _GAP for line in foot), default=0)
    across = len(heads) * (width + _GAP)
    broken = [_broken(head, width) for head in heads]
    top = 2 * _HEAD + _LINE * (max(map(len, broken)) - 1)
    size = (
        left + max(across, written, _LEGEND_WIDTH if legend is not None else 0),
        top + len(rows) * (height + _GAP) + below,
    )
    paper = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(paper)
    draw.text((_GAP, _HEAD / 2), title, _INK, _font(14, bold=True), anchor="lm")
    for at, lines in enumerate(broken):
        x = left + at * (width + _GAP) + width / 2
        for up, line in enumerate(reversed(lines)):
            draw.text((x, top - _HEAD / 2 - up * _LINE), line, _INK, _font(13), anchor="mm")
    for down, (row, text) in enumerate(zip(rows, names, strict=True)):
        y = top + down * (height + _GAP)
        draw.text((left - _GAP, y + height / 2), text, _INK, _font(13), anchor="rm")
        for across, item in enumerate(row):
            _paste(paper, item, (left + across * (width + _GAP), y), (width, height))
    if legend is not None:
        cells = next(item.flow.shape[2] for row in rows for item in row if item.flow is not None)
        _draw_legend(paper, (left, size[1] - below + _GAP), legend, cells)
    for number, line in enumerate(foot):
        place = (left, size[1] - _LINE * (len(foot) - number) + _LINE / 2 - 2)
        draw.text(place, line, _PALE, _font(12), anchor="lm")
    data = io.BytesIO()
    paper.save(data, "PNG", optimize=False)
    alt = f"Images in {len(names)} rows ({_some(names)}) and {len(heads)} columns ({_some(heads)})."
    return Grid(name, caption, data.getvalue(), paper.size, alt)


def _some(words: Sequence[str], most: int = 12) -> str:
    shown = ", ".join(words[:most])
    return shown if len(words) <= most else f"{shown} and {len(words) - most} more"


def _field_size(rows: Sequence[Sequence[Field]]) -> tuple[int, int]:
    """Width and height of a field: small images enlarged by a whole factor, large ones reduced to about 180 px."""
    images = [item.image for row in rows for item in row if item.image is not None]
    if not images:
        return _SIDE, _SIDE
    width, height = max((image.size for image in images), key=lambda size: size[0] * size[1])
    scale = max(1, _SIDE // max(width, height)) if max(width, height) <= _SIDE else _SIDE / max(width, height)
    return round(width * scale), round(height * scale)


def _paste(paper: Image.Image, item: Field, place: tuple[int, int], size: tuple[int, int]) -> None:
    if item.image is not None:
        small = item.image.size[0] <= size[0]
        method = Image.Resampling.NEAREST if small else Image.Resampling.LANCZOS
        paper.paste(item.image.resize(size, method), place)
    elif item.flow is not None:
        paper.paste(flow_image(item.flow, size, item.longest), place)
        box = (*place, place[0] + size[0] - 1, place[1] + size[1] - 1)
        ImageDraw.Draw(paper).rectangle(box, outline=(205, 205, 205))
    else:
        middle = (place[0] + size[0] / 2, place[1] + size[1] / 2)
        ImageDraw.Draw(paper).multiline_text(middle, item.why, _PALE, _font(12), anchor="mm", align="center")


def _draw_legend(paper: Image.Image, place: tuple[int, int], longest: float, cells: int) -> None:
    side = 62
    paper.paste(wheel(side), place)
    draw = ImageDraw.Draw(paper)
    x, y = place[0] + side + 2 * _GAP, place[1]
    lines = (
        "Flow: hue is direction, colour strength is length; white stands still.",
        f"Rim of the wheel: {longest:.2g} of {cells} cells ({100 * longest / cells:.2g} % of the width), one scale "
        "throughout; darker is further.",
        "Arrows point from the edited image to the place the content came from.",
    )
    for at, line in enumerate(lines):
        draw.text((x, y + 8 + 20 * at), line, _PALE, _font(12), anchor="lm")


def _broken(text: str, width: int) -> list[str]:
    """One line, or two where it is too wide for one: between words, and before the "+" of a combination."""
    if _font(13).getlength(text) <= width:
        return [text]
    parts = re.split(r"(?=[+ ])", text)
    ends = [at for at in range(1, len(parts)) if _font(13).getlength("".join(parts[:at])) <= width]
    if not ends:
        return [_fitted(text, width)]
    first, second = "".join(parts[: ends[-1]]), "".join(parts[ends[-1] :])
    return [first.strip(), _fitted(second.strip(), width)]


def _fitted(text: str, width: int) -> str:
    """Cut in the middle where it is too wide: long names differ at their ends."""
    short, kept = text, len(text)
    while kept > 4 and _font(13).getlength(short) > width:
        kept -= 1
        short = f"{text[: kept // 2]}…{text[-(kept - kept // 2) :]}"
    return short


@cache
def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans as matplotlib ships it: the same on every machine."""
    from matplotlib import get_data_path

    file = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(get_data_path()) / "fonts" / "ttf" / file), size)
