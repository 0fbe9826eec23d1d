"""What lies below a data set's folder: where its images begin, and all that is not used, by name."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

from bench.core.errors import MissingError
from bench.data.images import SUFFIXES

# Text files that say something of the images, whether they are read or not.
_ABOUT = {".txt", ".md", ".toml", ".mat", ".html", ".pdf"}
MOST_FILES = 200_000
# How deep the folder may lie that a data set begins in: an archive unpacked into a folder of its own name, twice.
_MOST_DOWN = 2
# What systems and archivers leave in folders: no images of anybody's.
_LITTER = frozenset({"__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found"})


def folders_below(root: Path) -> Iterator[Path]:
    """The root and every folder below it, linked ones too, each once, hidden ones left out; in the order of names."""
    seen: set[tuple[int, int]] = set()
    for name, folders, _ in os.walk(root, followlinks=True, onerror=_refuse):
        status = Path(name).stat()
        key = (status.st_dev, status.st_ino)
        if key in seen:
            # A link back to a folder that was there before.
            folders.clear()
            continue
        seen.add(key)
        folders[:] = sorted(folder for folder in folders if _is_own(folder))
        yield Path(name)


def _refuse(error: OSError) -> None:
    raise MissingError(f"{error.filename}: cannot be listed ({error.strerror or error})") from error


def is_picture(path: Path) -> bool:
    """Whether a file's name and kind are those of an image that can be read: a regular file, called in UTF-8."""
    if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
        return False
    return path.is_file() and path.name.isprintable()


def unused(root: Path, used: Collection[Path]) -> str:
    """ "12 files are not used: 8 .gif, 4 .jfif (a.gif, ...)" of what no image of the split is; "" for nothing."""
    taken = {str(path) for path in used}
    kinds: Counter[str] = Counter()
    names: list[str] = []
    count = 0
    about = begin(root, _READ)
    for folder in folders_below(root):
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            if entry.name.startswith(".") or entry.is_dir():
                continue
            count += 1
            path = Path(entry.path)
            if count > MOST_FILES or entry.path in taken or path.suffix.lower() in _ABOUT:
                continue
            if path.parent == about and path.name.casefold() in _READ:
                continue
            kinds[_kind(path)] += 1
            names += [ascii(path.relative_to(root).as_posix())[1:-1]] if len(names) < 5 else []
        if count > MOST_FILES:
            break
    if not kinds:
        return ""
    total = sum(kinds.values())
    of = ", ".join(f"{number} {kind}" for kind, number in kinds.most_common())
    more = ", ..." if total > len(names) else ""
    return f"{total} {'file is' if total == 1 else 'files are'} not used: {of} ({', '.join(names)}{more})"


_READ = ("labels.csv", "metadata.csv", "label.json", "dataset.json")


def _kind(path: Path) -> str:
    if not path.is_file():
        return "no regular files" if path.exists() else "broken links"
    return path.suffix.lower() or "without a suffix"


def begin(root: Path, names: Collection[str]) -> Path:
    """The folder where something called one of `names` lies: the root, else the only one as near below it.

    Archives unpack into a folder of their own name, sometimes twice. The root where nothing, or several, is found.
    """
    level = [root]
    for _ in range(_MOST_DOWN + 1):
        if found := [folder for folder in level if any(called(folder, name) for name in names)]:
            return found[0] if len(found) == 1 else root
        level = [inner for folder in level for inner in folders_in(folder)]
    return root


def called(root: Path, name: str) -> Path | None:
    """What is called `name` ("a/b" is below a folder) below the root, in any case of its letters; None for nothing."""
    at = root
    for part in Path(name).parts:
        if not (at / part).exists():
            fitting = [path for path in _entries(at) if path.name.casefold() == part.casefold()]
            if len(fitting) != 1:
                return None
            part = fitting[0].name
        at = at / part
    return at


def folders_in(folder: Path) -> list[Path]:
    """Folders directly in a folder, sorted by name; hidden ones and what systems leave left out; [] for no folder."""
    return sorted(path for path in _entries(folder) if _is_own(path.name) and path.is_dir())


def lies_there(root: Path) -> str:
    """ "2 folders (a, b), 12 .gif" of what lies directly in a folder, whatever it is; "nothing" where it is empty."""
    folders = [path.name for path in folders_in(root)]
    kinds = Counter(_kind(path) for path in _entries(root) if not path.name.startswith(".") and not path.is_dir())
    more = ", ..." if len(folders) > 5 else ""
    names = ascii(", ".join(folders[:5]))[1:-1]
    many = "1 folder" if len(folders) == 1 else f"{len(folders)} folders"
    found = [f"{many} ({names}{more})"] if folders else []
    return ", ".join([*found, *(f"{number} {kind}" for kind, number in kinds.most_common())]) or "nothing"


def _entries(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise MissingError(f"{folder}: cannot be listed ({error.strerror or error})") from error


def _is_own(name: str) -> bool:
    return not name.startswith(".") and name.casefold() not in _LITTER
