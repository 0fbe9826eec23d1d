"""`data check`: what is there, what is missing, what cannot be read, and where such data is to be had; a line each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bench.core.contract import ImageRecord
from bench.core.domains import find_domain
from bench.core.errors import BenchError
from bench.data import cars, celebahq, kind_of, list_images
from bench.data.face_search import FaceDetector, search
from bench.data.images import FileImage, problem, size_of
from bench.data.listing import Entry, Kind, image_files, some
from bench.data.scan import begin, called, lies_there, unused
from bench.data.splits import cars_names

MOST_LINES = 20


@dataclass(frozen=True)
class Report:
    """The answer of `data check`: `there` are facts, `problems` one line a problem, `source` where to get such data.

    `without_face`: names of images in which a detector was asked for a face and saw none.
    """

    there: tuple[str, ...]
    problems: tuple[str, ...]
    source: str
    without_face: tuple[str, ...] = ()

    @property
    def lines(self) -> list[str]:
        """Everything, ready to print."""
        advice = [f"source: {self.source}"] if self.problems else []
        return [*self.there, *self.problems, *advice]


def inspect(
    name: str,
    root: Path | str,
    split: str = "test",
    *,
    thorough: bool = True,
    detector: FaceDetector | None = None,
    faces: int | None = 0,
) -> Report:
    """Look at a split and at every image of it; `thorough` decodes each (about 70 pictures/s at 1024 px on one
    core).

    In `faces` images of a data set of faces, spread over the split (None: all), `detector` looks for one.
    """
    kind, folder = kind_of(name), Path(root)
    try:
        listing = list_images(name, folder, split)
    except BenchError as error:
        return Report((), (f"wrong: {error.what}",), kind.source)
    present = [entry for entry in listing.entries if entry.path is not None]
    there = [f"there: {len(present)} of {len(listing.entries)} {split} images of {kind.name}"]
    there += [f"there: {note}" for note in listing.notes]
    if kind.listing is not None and (left := unused(folder, _known_files(kind, folder, present))):
        there.append(f"there: {left}")
    problems = [f"doubtful: {doubt}" for doubt in listing.doubts]
    if listing.missing:
        problems.append(f"missing: {len(listing.missing)} images: {some(listing.missing)}")
    if not listing.entries:
        problems.append(f"missing: no image in {folder}")
    if not present:
        problems.append(f"instead: {lies_there(folder)}")
    aspect = find_domain(kind.domain).aspect if kind.strict else None
    unreadable = _unreadable([(entry.path, aspect) for entry in present if entry.path], thorough)
    problems += [f"unreadable: {line}" for line in unreadable[:MOST_LINES]]
    if len(unreadable) > MOST_LINES:
        problems.append(f"unreadable: {len(unreadable) - MOST_LINES} more")
    if faces == 0 or not find_domain(kind.domain).alignment or not present:
        return Report(tuple(there), tuple(problems), kind.source)
    found = search(present, detector, faces)
    if found.doubtful:
        problems.append(f"doubtful: {found.words}")
    else:
        there.append(f"there: {found.words}")
    return Report(tuple(there), tuple(problems), kind.source, found.without)


def _known_files(kind: Kind, folder: Path, present: Sequence[Entry]) -> list[Path]:
    """Files of the split, and those of any other split that the kind has."""
    try:
        everything = list_images(kind.name, folder, "all").entries if "all" in kind.splits else ()
    except BenchError:
        everything = ()
    return [entry.path for entry in (*present, *everything) if entry.path]


def report(name: str, root: Path | str, split: str = "test") -> list[str]:
    """`inspect` as lines of text."""
    return inspect(name, root, split).lines


def quick(images: Iterable[ImageRecord]) -> list[str]:
    """Problems that a look at the headers of images shows, before anything runs; one line each.

    Thousands of files take a second: none is read beyond its header. Images that are no files (a drawn world's) have
    none.
    """
    files = [(image.path, image.aspect) for image in images if isinstance(image, FileImage)]
    return _unreadable(files, thorough=False)


def warnings_of(problems: Sequence[str], count: int) -> list[str]:
    """What `quick` found in `count` images, as lines for people: how many, and the first of them."""
    if not problems:
        return []
    more = len(problems) - MOST_LINES
    rest = [f"and {more} more"] if more > 0 else []
    return [f"{len(problems)} of {count} images cannot be used and count as failed", *problems[:MOST_LINES], *rest]


def guess(root: Path) -> str:
    """Registry name of the data set that a folder looks like; "folder" when nothing tells."""
    for name, marks in (("celebahq", celebahq.MARKS), ("stanford-cars", cars.MARKS)):
        if any(called(begin(root, marks), mark) for mark in marks):
            return name
    return "stanford-cars" if _are_cars(image_files(root)) else "folder"


def _are_cars(files: Sequence[Path]) -> bool:
    """Whether these are likely the images of Stanford Cars' test split: called 00001.jpg and on, wider than high.

    FFHQ and CelebA-HQ have names of five digits as well; their images are all square.
    """
    if not files or not {path.name.lower() for path in files} <= set(cars_names("test")) or files[0].stem != "00001":
        return False
    sizes = [size for path in files[:16] if (size := size_of(path))]
    return bool(sizes) and sum(width > height for width, height in sizes) > len(sizes) / 2


def _unreadable(files: Iterable[tuple[Path, tuple[int, int] | None]], thorough: bool) -> list[str]:
    def look(file: tuple[Path, tuple[int, int] | None]) -> str | None:
        path, aspect = file
        return problem(path, thorough=thorough, aspect=aspect)

    with ThreadPoolExecutor() as pool:
        return [line for line in pool.map(look, files) if line is not None]
