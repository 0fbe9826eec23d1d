"""argparse with the house's errors: close names, commas where they lack, exit code 2, and no abbreviations."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from shutil import get_terminal_size
from textwrap import fill
from typing import Any, NoReturn

from bench.cli.program import as_typed, program
from bench.core.errors import BenchError, ExitCode, UsageError, unknown_name

# How options that take several names at once show it in their help.
LIST = "A,B"
_UNEXPECTED, _REQUIRED = "unrecognized arguments: ", "the following arguments are required: "


class Plain(argparse.RawDescriptionHelpFormatter):
    """Descriptions as they are written, help texts in one column of 80."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26, width=80)


class Parser(argparse.ArgumentParser):
    """A parser whose every error is said as the other errors are."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=Plain, **settings)
        self._words: list[str] = []

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse's, and the words are kept for advice."""
        self._words = list(sys.argv[1:] if args is None else args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and leave with exit code 2."""
        say(self._explained(message))
        raise SystemExit(int(ExitCode.USAGE))

    def _explained(self, message: str) -> BenchError:
        if message.startswith(_REQUIRED):
            return self._required(message.removeprefix(_REQUIRED).split(", "))
        if not message.startswith(_UNEXPECTED):
            return BenchError(message, f"{self.prog} --help")
        word = (message.removeprefix(_UNEXPECTED).split() or [""])[0]
        if word.startswith("-"):
            options = [option for action in self._actions for option in action.option_strings]
            return unknown_name("option", word.partition("=")[0], [o for o in options if o.startswith("--")])
        return BenchError(f"unexpected {word!r}", self._with_commas(word) or f"{self.prog} --help")

    def _required(self, names: Sequence[str]) -> BenchError:
        """What lacks, and what it may be where that is one of a few words."""
        first = next((action for action in self._actions if action.choices and action.dest == names[0]), None)
        if first is None or first.choices is None:
            return BenchError(f"{self.prog} needs {' and '.join(names)}", f"{self.prog} --help")
        words = ", ".join(map(str, first.choices))
        return BenchError(f"{self.prog} needs one of: {words}", f"{self.prog} {next(iter(first.choices))}")

    def _with_commas(self, word: str) -> str:
        """ "names are separated by commas: --methods a,b" where a list was typed with spaces; else ""."""
        place = self._words.index(word) if word in self._words else 0
        starts = [i for i, own in enumerate(self._words[:place]) if own.startswith("-")]
        lists = [option for action in self._actions if action.metavar == LIST for option in action.option_strings]
        if not starts or self._words[starts[-1]] not in lists:
            return ""
        ends = [i for i, own in enumerate(self._words) if i > place and own.startswith("-")]
        names = self._words[starts[-1] + 1 : ends[0] if ends else None]
        joined = ",".join(name.strip(",") for name in names)
        return f"names are separated by commas: {self._words[starts[-1]]} {joined}"


def say(error: BenchError) -> None:
    """Print an error and its next step to stderr; on a terminal in lines between words, but commands stay whole."""
    text = as_typed(f"error: {error}")
    if sys.stderr.isatty():
        text = "\n".join(
            line if program() in line or "python -m" in line else _wrapped(line) for line in text.split("\n")
        )
    print(text, file=sys.stderr)


def _wrapped(line: str) -> str:
    indent = " " * (len(line) - len(line.lstrip()))
    return fill(
        line,
        get_terminal_size().columns,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def check_words(words: Sequence[str]) -> None:
    """Raise UsageError for an argument that can name nothing: empty, of bytes that are no text, or with control codes.

    A shell makes an empty one of a variable that is not set.
    """
    for place, word in enumerate(words):
        option = word[:-1] if word.startswith("--") and word.endswith("=") else ""
        if not word or option:
            before = option or (words[place - 1] if place and words[place - 1].startswith("-") else "an argument")
            raise UsageError(f"{before} is given nothing", "is a variable of the shell not set?")
        if any("\ud800" <= letter <= "\udfff" for letter in word):
            raise UsageError(f"the argument {ascii(word)[:60]} is no UTF-8", "rename what it names")
        if any(letter < " " for letter in word):
            raise UsageError(f"the argument {ascii(word)[:60]} holds control characters", "rename what it names")
