"""Names as people type them, in any case; and names of files and folders made of other names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count
from pathlib import Path

from bench.core.errors import unknown_name

# Words that stand for several names, or for none; nothing is called so.
WORDS = ("all", "ready", "none")
# Rows of results and tables that are no methods: no method is called so.
REFERENCES = ("real", "real-jpeg", "real-halves", "truth")


def in_any_case(name: str, known: Iterable[str]) -> str:
    """The known name that `name` is but for its case ("WarpRes": "warpres"); `name` as it is where there is none."""
    names = list(known)
    if name in names:
        return name
    fitting = [own for own in names if own.casefold() == name.casefold()]
    return fitting[0] if len(fitting) == 1 else name


def known_name(kind: str, name: str, known: Iterable[str]) -> str:
    """The known name that `name` is, in any case. Raises UsageError with close names for one of no `kind`."""
    names = list(known)
    found = in_any_case(name, names)
    if found not in names:
        raise unknown_name(kind, name, names)
    return found


def kept_as(image: str) -> str:
    """Name without suffix of the files that are kept of an image ("2.jpg": "2", "anna/2.jpg": "anna_2")."""
    return Path(image.replace("/", "_")).stem


def numbered(names: Sequence[str]) -> list[str]:
    """The names, a number behind each that stood before ("a", "a": "a", "a-2"), so that no two are alike."""
    found: list[str] = []
    for name in names:
        free = (f"{name}-{number}" for number in count(2))
        found.append(name if name not in found else next(own for own in free if own not in {*found, *names}))
    return found
