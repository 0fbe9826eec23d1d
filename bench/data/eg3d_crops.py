"""Crops with cameras, as EG3D's preparation makes them: 512 px images beside a label.json or dataset.json.

The file holds {"labels": [[image name, [25 numbers]], ...]}: camera-to-world 4x4 and intrinsics 3x3, row by row.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from bench.core.errors import MissingError
from bench.core.files import read_text
from bench.data.listing import Entry, Kind, Listing, image_files

LABELS = ("label.json", "dataset.json")
SOURCE = (
    "a folder of 512 px crops made by EG3D's preparation scripts, with their cameras in label.json or dataset.json "
    '({"labels": [["a.jpg", [25 numbers]], ...]})'
)


def listing(root: Path, split: str) -> Listing:
    """Every image with a camera, sorted by name; images without one are told. Raises MissingError for bad labels."""
    del split  # a folder has one
    file = next((root / name for name in LABELS if (root / name).is_file()), None)
    if file is None:
        raise MissingError(f"{root} has no {' or '.join(LABELS)}: a 3D method needs the camera of every image", SOURCE)
    cameras = _cameras(file)
    paths = {path.stem: path for path in image_files(root)}
    entries = [Entry(name, paths.get(Path(name).stem), {}, camera) for name, camera in sorted(cameras.items())]
    known = {Path(name).stem for name in cameras}
    without = sorted(stem for stem in paths if stem not in known)
    doubts = [f"{len(without)} pictures have no camera and are left out, first {without[0]}"] if without else []
    return Listing(entries, [f"cameras from {file.name}"], doubts)


def _cameras(file: Path) -> dict[str, tuple[float, ...]]:
    try:
        labels: Any = json.loads(read_text(file))["labels"]
        found = {str(name): tuple(map(float, camera)) for name, camera in labels}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise MissingError(f"{file}: cannot be read as cameras ({error})", SOURCE) from None
    for name, camera in found.items():
        if len(camera) != 25 or not all(map(math.isfinite, camera)):
            raise MissingError(f"{file}: the camera of {name} is not 25 numbers", SOURCE)
    return found


KINDS = (Kind("eg3d-crops", "faces", ("all", "test"), SOURCE, listing, cameras=True),)
