"""Data sets by name.

A newcomer is one module in this folder with a `KINDS` tuple, or an entry point "warpres_bench.data".
"""

from __future__ import annotations

import pkgutil
from dataclasses import replace
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

from bench.core.contract import Dataset
from bench.core.domains import find_domain
from bench.core.errors import MissingError, UsageError, unknown_name
from bench.data.listing import ExpectedDataset, FileDataset, Kind, Listing, some
from bench.data.scan import lies_there

__all__ = [
    "ExpectedDataset",
    "FileDataset",
    "Kind",
    "Listing",
    "expect_dataset",
    "kind_of",
    "kinds",
    "list_pictures",
    "open_dataset",
]


@cache
def kinds() -> dict[str, Kind]:
    """All kinds of data set by name; built-in ones win over plug-ins of the same name."""
    found: dict[str, Kind] = {}
    for module in pkgutil.iter_modules(__path__):
        for kind in getattr(import_module(f"{__name__}.{module.name}"), "KINDS", ()):
            found[kind.name] = kind
    for point in entry_points(group="warpres_bench.data"):
        if point.name not in found:
            found[point.name] = point.load()
    return found


def kind_of(name: str) -> Kind:
    """The kind called `name`, aliases included. Raises UsageError with close names."""
    for kind in kinds().values():
        if name in (kind.name, *kind.aliases):
            return kind
    raise unknown_name("data set", name, list(kinds()))


def register_kind(kind: Kind) -> None:
    """Add a kind in this process (a plug-in's KINDS). Raises UsageError where the name belongs to another."""
    known = kinds().setdefault(kind.name, kind)
    if (known.domain, known.source) != (kind.domain, kind.source):
        raise UsageError(f"the data set {kind.name!r} is there already", "give it another name")


def list_images(name: str, root: Path | str, split: str = "test") -> Listing:
    """What a split of a data set expects and has, without opening an image. Raises MissingError or UsageError."""
    kind, folder = kind_of(name), Path(root)
    _check_split(kind, split)
    if kind.listing is None:
        raise UsageError(
            f"{kind.name} is drawn, it is not read from {root}",
            "name a preset with a data set, e.g. --preset paper-faces",
        )
    if not folder.is_dir():
        raise MissingError(f"{folder}: no such folder", kind.source)
    listing = kind.listing(folder, split)
    return listing if kind.own else replace(listing, notes=[*listing.notes, *_places(folder, listing)])


def _places(folder: Path, listing: Listing) -> list[str]:
    """Which folders below its own a data set's files lie in, in a sentence; [] for its own."""
    used = sorted({entry.path.parent for entry in listing.entries if entry.path} - {folder})
    return [f"images from {some([f'{path.relative_to(folder).as_posix()}/' for path in used])}"] if used else []


def open_dataset(
    name: str, root: Path | str, split: str = "test", limit: int | None = None, face: int | None = None
) -> Dataset:
    """Open a data set: names, labels and files are checked, no image is read.

    Args:
        name: "celebahq", "stanford-cars" ("cars"), "folder", "folder-cars", "synthetic" or a plug-in's.
        root: Its folder; "" for a kind that draws its images.
        split: A split of that kind, usually "test"; "all" is whatever images are there.
        limit: Take the first `limit` images of the split only.
        face: Align the faces of photographs as they are read: the one of this number, the largest first; 0 the only
            one. None takes images as they are.

    Raises UsageError for a name or split that does not exist, MissingError for files that are absent or contradict
    the data set.
    """
    kind = kind_of(name)
    _check_split(kind, split)
    if not root and kind.draw is not None:
        if face is not None:
            raise UsageError(f"{kind.name}'s images are drawn aligned", "leave out --align")
        return kind.draw(split, limit)
    if not root:
        raise MissingError(f"the folder of the data set {name} is not given", "add --data DIR")
    listing = list_images(name, root, split)
    entries = listing.entries[:limit]
    missing = [entry.name for entry in entries if entry.path is None]
    if len(missing) == len(entries):
        _refuse_others(kind, Path(root))
    if missing:
        check = f"python run_bench.py data check --data {kind.name} --root {root}"
        fault = f"{root}: {len(missing)} of {len(entries)} {split} images are missing: {some(missing)}"
        if len(missing) == len(entries):
            fault = f"{fault}; there instead: {lies_there(Path(root))}"
        own = _own_folder(kind)
        otherwise = f", or --data {own.name}:{root} where they are your own" if own else ""
        raise MissingError(fault, f"{check}, or --split all for the images that are there{otherwise}")
    if not entries:
        there = f"there instead: {lies_there(Path(root))}"
        raise MissingError(f"{root}: no images of {kind.name}, split {split}; {there}", kind.source)
    strict = kind.strict and face is None
    files = FileDataset(kind.name, kind.domain, entries, find_domain(kind.domain).aspect if strict else None)
    if face is None:
        return files
    from bench.data.align.dataset import AlignedDataset

    return AlignedDataset(files, face)


def _refuse_others(kind: Kind, root: Path) -> None:
    """Raise MissingError, with the way to take them, where a folder holds images and none of them is the kind's."""
    own = _own_folder(kind)
    if own is not None and own.listing is not None and (there := own.listing(root, "all").entries):
        raise MissingError(
            f"{root} holds {len(there)} images, none of {kind.name}'s",
            f"to run on them as a folder of your own: --data {own.name}:{root}",
        )


def _own_folder(kind: Kind) -> Kind | None:
    """The kind that takes any folder of images of this one's domain; None for itself."""
    return next(
        (other for other in kinds().values() if other.own and other.domain == kind.domain and not kind.own), None
    )


def expect_dataset(name: str, root: Path | str, split: str, limit: int | None = None) -> ExpectedDataset:
    """What `open_dataset` would give were everything there, as far as that can be told. Raises UsageError."""
    kind = kind_of(name)
    _check_split(kind, split)
    try:
        entries = list_images(name, root, split).entries[:limit] if root else None
    except MissingError:
        entries = None
    return ExpectedDataset(kind.name, kind.domain, entries or None)


def _check_split(kind: Kind, split: str) -> None:
    if split not in kind.splits:
        raise UsageError(f"{kind.name} has no split {split!r}", f"splits: {', '.join(kind.splits)}")
