"""Names that become folders and files: what none of the systems a run may be copied to takes for anything else."""

from __future__ import annotations

from bench.core.errors import UsageError

LONGEST = 120
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{digit}" for port in ("com", "lpt") for digit in range(10))}
_FORBIDDEN = set('/\\:*?"<>|')


def check_name(name: str, what: str, taken: tuple[str, ...] = ()) -> None:
    """Raise UsageError for a name that cannot be one folder on every system.

    Args:
        what: What is called so, for the message ("variant", "--name").
        taken: Names that mean something else there.
    """
    if why := _fault(name) or ("means something else here" if name in taken else ""):
        shown = name if len(name) <= 40 else f"{name[:40]}..."
        raise UsageError(f"{what} {shown!r} {why}", "a plain name: letters, digits, +, -, _ and .")


def _fault(name: str) -> str:
    if not name:
        return "is empty"
    if len(name.encode(errors="replace")) > LONGEST:
        return f"has more than {LONGEST} bytes"
    if name[0] in ".~" or name[-1] in ". " or name != name.strip():
        return "begins or ends as no folder may"
    if found := sorted(_FORBIDDEN & set(name)):
        return f"holds {found[0]!r}, which no folder's name may"
    if not name.isprintable():
        return "holds characters that cannot be printed"
    return "is a device's name on Windows" if name.partition(".")[0].lower() in _RESERVED else ""
