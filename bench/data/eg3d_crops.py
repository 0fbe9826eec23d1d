"""Crops with cameras, as EG3D's preparation makes them: 512 px images beside a label.json or dataset.json.

The file holds {"labels": [[image name, [25 numbers]], ...]}: camera-to-world 4x4 and intrinsics 3x3, row by row.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from bench.core.errors import MissingError
from bench.core.files import read_json
from bench.data.listing import Entry, Kind, Listing, pictures_below
from bench.data.scan import begin, called

LABELS = ("label.json", "dataset.json")
SOURCE = (
    "a folder of 512 px crops made by EG3D's preparation scripts, with their cameras in label.json or dataset.json "
    '({"labels": [["a.jpg", [25 numbers]], ...]})'
)


def listing(root: Path, split: str) -> Listing:
    """Every image with a camera, sorted by name; images without one are told. Raises MissingError for bad labels."""
    del split  # a folder has one
    root = begin(root, LABELS)
    file = next((path for name in LABELS if (path := called(root, name)) and path.is_file()), None)
    if file is None:
        raise MissingError(f"{root} has no {' or '.join(LABELS)}: a 3D method needs the camera of every image", SOURCE)
    cameras = _cameras(file)
    # A label may name a png where the crop is a jpg, as EG3D's own do.
    paths = {str(Path(name).with_suffix("")): path for name, path in pictures_below(root).items()}
    known = {name: str(Path(name.replace("\\", "/")).with_suffix("")) for name in cameras}
    entries = [Entry(name, paths.get(known[name]), {}, camera) for name, camera in sorted(cameras.items())]
    without = sorted(paths.keys() - known.values())
    doubts = [f"{len(without)} images have no camera and are left out, first {without[0]}"] if without else []
    return Listing(entries, [f"cameras from {file.name}"], doubts)


def _cameras(file: Path) -> dict[str, tuple[float, ...]]:
    try:
        labels: Any = read_json(file)["labels"]
        pairs = [(str(name), tuple(map(float, camera))) for name, camera in labels]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MissingError(f"{file}: cannot be read as cameras ({error})", SOURCE) from None
    found: dict[str, tuple[float, ...]] = {}
    for name, camera in pairs:
        if name in found:
            raise MissingError(f"{file}: {name} is listed twice", SOURCE)
        found[name] = camera
        if len(camera) != 25 or not all(map(math.isfinite, camera)):
            raise MissingError(f"{file}: the camera of {name} is not 25 numbers", SOURCE)
    return found


KINDS = (Kind("eg3d-crops", "faces", ("all", "test"), SOURCE, listing, cameras=True),)
