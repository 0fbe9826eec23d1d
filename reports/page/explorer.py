"""The images that the page's explorer flips through: every image once, as a small WebP in a data URI."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

from PIL import Image

from reports.figures.run_images import RunImage
from reports.inputs import Facts
from reports.naming import in_reading_order, is_reference, method_title, split_pass

LONGEST_SIDE = 320
_QUALITY = 82


def explorer_data(images: Sequence[RunImage], passes: Sequence[str], facts: Facts) -> dict[str, Any] | None:
    """What the explorer shows, as JSON data; None where a run kept no images of a method.

    `pictures` maps "input IMAGE", "true PASS IMAGE" and "METHOD PASS IMAGE" (parts joined by a tab) to data URIs. Only
    small copies travel in the page; the images themselves lie beside it in `pictures/`.
    """
    made = in_reading_order((method for image in images for method, _ in image.made), facts.places)
    methods = [name for name in made if not is_reference(name, facts.references)]
    if not methods:
        return None
    pictures: dict[str, str] = {}
    for kept in images:
        _add(pictures, ("input", kept.name), kept.input)
        for pass_name, image in kept.true.items():
            _add(pictures, ("true", pass_name, kept.name), image)
        for (method, pass_name), image in kept.made.items():
            if method in methods:
                _add(pictures, (method, pass_name, kept.name), image)
    return {
        "images": [image.name for image in images],
        "methods": [{"name": name, "title": method_title(name, facts.titles)} for name in methods],
        "passes": [_pass_of(name, facts) for name in passes],
        "pictures": pictures,
    }


def _pass_of(name: str, facts: Facts) -> dict[str, Any]:
    """A pass with the edit it is a step of, and its signed strength: what a slider over a sweep needs."""
    about = split_pass(name)
    sizes = [abs(strength) for (_, own), strength in facts.strengths.items() if own == name]
    size = float(about.variant) if about.variant else (sizes[0] if sizes else 1.0)
    strength = {"+": size, "-": -size}.get(about.sign, 0.0)
    return {"name": name, "title": about.title, "edit": about.edit if about.sign else "", "strength": strength}


def _add(pictures: dict[str, str], key: tuple[str, ...], image: Image.Image | None) -> None:
    if image is not None:
        pictures["\t".join(key)] = webp_uri(image, LONGEST_SIDE)


def webp_uri(image: Image.Image, longest: int, *, lossless: bool | None = None) -> str:
    """An image, not longer than `longest` pixels, as a WebP data URI; small images stay exact unless told otherwise."""
    if max(image.size) > longest:
        image = image.copy()
        image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    exact = max(image.size) <= 128 if lossless is None else lossless
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=exact, quality=_QUALITY, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
