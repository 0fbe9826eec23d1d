"""Names as people type them: in any case."""

from __future__ import annotations

from collections.abc import Iterable


def in_any_case(name: str, known: Iterable[str]) -> str:
    """The known name that `name` is but for its case ("WarpRes": "warpres"); `name` as it is where there is none."""
    names = list(known)
    if name in names:
        return name
    fitting = [own for own in names if own.casefold() == name.casefold()]
    return fitting[0] if len(fitting) == 1 else name
