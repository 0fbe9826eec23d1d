"""What lies below a data set's folder: pictures in folders and linked folders, and all that is not used, by name."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

from bench.core.errors import MissingError
from bench.data.images import SUFFIXES

# Text files that say something of the pictures, whether they are read or not.
_ABOUT = {".txt", ".md", ".toml", ".mat", ".html", ".pdf"}
MOST_FILES = 200_000


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
        folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
        yield Path(name)


def _refuse(error: OSError) -> None:
    raise MissingError(f"{error.filename}: cannot be listed ({error.strerror or error})") from error


def is_picture(path: Path) -> bool:
    """Whether a file's name and kind are those of a picture that can be read: a regular file, called in UTF-8."""
    if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
        return False
    return path.is_file() and path.name.isprintable()


def unused(root: Path, used: Collection[Path]) -> str:
    """ "12 files are not used: 8 .gif, 4 .jfif (a.gif, ...)" of what no picture of the split is; "" for nothing."""
    taken = {str(path) for path in used}
    kinds: Counter[str] = Counter()
    names: list[str] = []
    count = 0
    for folder in folders_below(root):
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            if entry.name.startswith(".") or entry.is_dir():
                continue
            count += 1
            path = Path(entry.path)
            if count > MOST_FILES or entry.path in taken or path.suffix.lower() in _ABOUT or path.name in _READ:
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


def one_level_down(root: Path, names: Collection[str]) -> Path:
    """The root, or the one folder in it, where a file or folder called so lies: archives unpack into their own name."""
    if not root.is_dir() or any((root / name).exists() for name in names):
        return root
    found = [path for path in sorted(root.iterdir()) if path.is_dir() and any((path / name).exists() for name in names)]
    return found[0] if len(found) == 1 else root
