"""Stanford Cars in the three layouts of the protocol card (section 1.4)."""

from __future__ import annotations

import io
import math
import zlib
from pathlib import Path
from typing import Literal

from bench.core.errors import MissingError
from bench.core.files import regular_size
from bench.data.listing import Entry, Kind, Listing, by_stem, image_files
from bench.data.scan import begin, called
from bench.data.splits import CARS_TEST, CARS_TRAIN, cars_names

SPLITS = ("test", "train", "all")
# What the folder that a copy begins in has, or some of it.
MARKS = ("cars_test", "cars_train", "car_ims", "cars_annos.mat")
SOURCE = (
    "Stanford Cars' own address is dead (github.com/pytorch/vision/issues/7545): bring a copy with "
    "cars_test/00001.jpg to 08041.jpg, or car_ims/ with cars_annos.mat, or a plain folder of the test images"
)
# Bytes of cars_annos.mat, once it is unpacked: it has 16,185 rows of eight fields, some six megabytes.
_MOST_MARKS, _MOST_ELEMENTS = 24 << 20, 100
# MATLAB's numbers of elements: packed, a matrix, and whole numbers, which in its second place are its sides.
_COMPRESSED, _MATRIX, _SIDES = 15, 14, 5
# What its head ends in, by the order of its bytes.
_ORDERS: dict[bytes, Literal["little", "big"]] = {b"IM": "little", b"MI": "big"}


def listing(root: Path, split: str) -> Listing:
    """Images of a split. The layout is told by what is there; "all" is every image found.

    - A: `cars_test/` and `cars_train/` (also one or two folders down), names by the rule 00001.jpg to 08041.jpg /
      08144.jpg.
    - B: `car_ims/` with `cars_annos.mat`, whose field `test` decides.
    - C: a plain folder of test images; when its names are the numbers of layout A they must be complete.
    """
    base = begin(root, MARKS)
    if called(base, "cars_test") or called(base, "cars_train"):
        return _folders(base, split)
    if called(base, "car_ims"):
        return _single_folder(base, split)
    return _plain(root, split)


def _folders(base: Path, split: str) -> Listing:
    parts = ("train", "test") if split == "all" else (split,)
    entries: list[Entry] = []
    for part in parts:
        folder = called(base, f"cars_{part}")
        found = by_stem(image_files(folder) if folder else [], 5)
        names = [f"{stem}.jpg" for stem in sorted(found)] if split == "all" else cars_names(part)
        prefix = f"{part}-" if split == "all" else ""
        entries += [Entry(prefix + name, found.get(Path(name).stem)) for name in names]
    return Listing(entries, ["layout with cars_train/ and cars_test/"])


def _single_folder(base: Path, split: str) -> Listing:
    stems = by_stem(image_files(called(base, "car_ims") or base), 6)
    found = {f"{stem}.jpg": path for stem, path in stems.items()}
    notes = ["layout with car_ims/"]
    if split == "all":
        return Listing([Entry(name, found[name]) for name in sorted(found)], notes)
    marks = _test_marks(called(base, "cars_annos.mat") or base / "cars_annos.mat")
    names = sorted(name for name, is_test in marks.items() if is_test == (split == "test"))
    expected = CARS_TEST if split == "test" else CARS_TRAIN
    doubt = f"cars_annos.mat marks {len(names)} {split} images, expected {expected}"
    doubts = [] if len(names) == expected else [doubt]
    return Listing([Entry(name, found.get(name)) for name in names], notes, doubts)


def _plain(root: Path, split: str) -> Listing:
    numbered = {f"{stem}.jpg": path for stem, path in by_stem(image_files(root), 5).items()}
    if not set(numbered) <= set(cars_names("test")):
        numbered = {path.name: path for path in image_files(root)}
    found = numbered
    notes = ["a plain folder, all of it taken for test images"]
    if split == "train":
        raise MissingError(f"{root}: a plain folder has no train split", SOURCE)
    if split == "test" and found and set(found) <= set(cars_names("test")):
        return Listing([Entry(name, found.get(name)) for name in cars_names("test")], notes)
    doubts = [] if len(found) == CARS_TEST else [f"{len(found)} images, Stanford Cars' test split has {CARS_TEST}"]
    return Listing([Entry(name, found[name]) for name in sorted(found)], notes, doubts)


def _test_marks(path: Path) -> dict[str, bool]:
    """File name -> is it a test image, from layout B's annotation file."""
    from scipy.io import loadmat

    if not path.exists():
        raise MissingError(f"{path}: missing; it says which images of car_ims/ are test images", SOURCE)
    try:
        rows = loadmat(io.BytesIO(_unpacked(path)), squeeze_me=True)["annotations"]
        return {Path(_text(row["relative_im_path"])).name: bool(int(row["test"])) for row in rows}
    except Exception as error:  # SciPy's reader has error classes of its own and passes on others
        raise MissingError(f"{path}: cannot be read as cars_annos.mat ({error})", SOURCE) from error


def _unpacked(path: Path) -> bytes:
    """A MATLAB 5 file whose elements are as they are once unpacked, of which none may be large."""
    if regular_size(path) > _MOST_MARKS:
        raise ValueError("it is far larger")
    content = path.read_bytes()
    order = _ORDERS.get(content[126:128])
    if order is None:
        raise ValueError("it is no MATLAB 5 file")
    parts, at, size = [content[:128]], 128, 128
    while at + 8 <= len(content) and len(parts) < _MOST_ELEMENTS:
        kind, length = (int.from_bytes(content[place : place + 4], order) for place in (at, at + 4))
        element = content[at : at + 8 + length]
        if kind == _COMPRESSED:
            element = zlib.decompressobj().decompress(element[8:], _MOST_MARKS)
        parts.append(element)
        size += len(element)
        if size >= _MOST_MARKS:
            raise ValueError("it is far larger once it is unpacked")
        at += 8 + length
    whole = b"".join(parts)
    _refuse_empty_sides(whole, order)
    return whole


def _refuse_empty_sides(content: bytes, order: Literal["little", "big"]) -> None:
    """Raise ValueError for a matrix of more values than it has bytes: SciPy makes room for them first."""
    places = [(128, len(content))]
    while places:
        start, end = at, _ = places.pop()
        number = 0
        while at + 8 <= end:
            kind, length = (int.from_bytes(content[place : place + 4], order) for place in (at, at + 4))
            data, step = at + 8, 8 + length + (-length % 8 if kind != _MATRIX else 0)
            if kind >> 16:  # a short element, all in one word
                kind, length, data, step = kind & 0xFFFF, kind >> 16, at + 4, 8
            if kind == _MATRIX:
                places.append((data, min(end, data + length)))
            elif kind == _SIDES and number == 1:
                sides = [content[place : place + 4] for place in range(data, min(end, data + length), 4)]
                if math.prod(int.from_bytes(side, order) for side in sides) > end - start:
                    raise ValueError("a matrix in it has more values than bytes")
            at, number = at + step, number + 1


def _text(value: object) -> str:
    return str(value.item() if hasattr(value, "item") else value)


KINDS = (Kind("stanford-cars", "cars", SPLITS, SOURCE, listing, aliases=("cars",)),)
