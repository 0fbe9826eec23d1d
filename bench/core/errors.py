"""Errors a user can act on: each says what, where and what next, and owns its exit code."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

FETCH = "python run_bench.py weights fetch"
# How much less like it than the closest name another may be that is offered as well.
_NEARLY = 0.12


class ExitCode(IntEnum):
    """Exit codes of `run_bench.py` (see CONTRIBUTING.md)."""

    OK = 0
    GATE = 1
    USAGE = 2
    MISSING = 3
    FAILED_CELLS = 4
    DIVERGED = 5
    INTERRUPTED = 130


class BenchError(Exception):
    """A failure with a sentence for the user and, where one exists, the next step.

    Args:
        what: One sentence: what is wrong and where (file, name, row).
        next_step: What to do now, usually a command; empty when `what` says it all.
    """

    exit_code = ExitCode.USAGE

    def __init__(self, what: str, next_step: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.what}\n  next: {self.next_step}" if self.next_step else self.what


class UsageError(BenchError):
    """A name, option or value that does not exist or does not fit."""

    exit_code = ExitCode.USAGE


class NotApplicableError(UsageError):
    """An edit that a method does not take: of another generator, of other methods' codes, or of another kind."""


class MissingError(BenchError):
    """Weights, data or a reference that is not there, is damaged, or is not what it should be.

    Args:
        what, next_step: See `BenchError`.
        files: Registry names of what is not there, so that many such errors make one list and one command.
    """

    exit_code = ExitCode.MISSING

    def __init__(self, what: str, next_step: str = "", files: Sequence[str] = ()) -> None:
        super().__init__(what, next_step)
        self.files = tuple(files)


class DeviceError(BenchError):
    """A device that answers every further call with the same error: the run stops, rows stay."""

    exit_code = ExitCode.FAILED_CELLS


class ImageError(BenchError):
    """One image that cannot be used; becomes a failed row, never the end of a run."""

    exit_code = ExitCode.FAILED_CELLS


def all_missing(errors: Sequence[MissingError]) -> MissingError:
    """Several absences as one error: every sentence and every file, and one command for all that can be fetched."""
    whats = dict.fromkeys(error.what for error in errors)
    files = dict.fromkeys(name for error in errors for name in error.files)
    return MissingError(" and ".join(whats), all_steps([error.next_step for error in errors]), tuple(files))


def all_steps(steps: Sequence[str], between: str = "; ") -> str:
    """Next steps as one text, each once; those that fetch weights become a single command, the last one."""
    fetched = dict.fromkeys(name for step in steps if step.startswith(FETCH + " ") for name in step.split()[4:])
    others = dict.fromkeys(step for step in steps if step and not step.startswith(FETCH + " "))
    return between.join([*others, *([f"{FETCH} {' '.join(fetched)}"] if fetched else [])])


def unknown_name(kind: str, name: str, known: list[str]) -> UsageError:
    """The error for a name that is not known: close names first, then all of them."""
    from difflib import SequenceMatcher, get_close_matches

    close = get_close_matches(name, known, n=3, cutoff=0.5)
    likeness = [SequenceMatcher(None, one, name).ratio() for one in close]
    # A far second is no help beside a near first.
    close = [one for one, like in zip(close, likeness, strict=True) if like > likeness[0] - _NEARLY]
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    return UsageError(f"unknown {kind} {name!r}", f"{hint}known: {', '.join(sorted(known))}")
