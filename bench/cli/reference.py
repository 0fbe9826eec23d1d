"""python -m bench.cli.reference: the command reference of the documentation, from the parsers themselves."""

from __future__ import annotations

import sys

from bench.cli import COMMANDS, command_parser

_HEAD = """# Commands

Made from the parsers by `python -m bench.cli.reference`; `run_bench.py COMMAND --help` prints the same.
Exit codes: 0 fine, 1 the gate says worse, 2 wrong usage, 3 something is missing (with the command that gets it),
4 finished with failed cells, 130 interrupted with results kept.
"""


def reference() -> str:
    """Markdown: a section a command, with its help as it is printed at 80 columns."""
    sections = [
        f"## {name}\n\n{text[0].upper()}{text[1:]}.\n\n```text\n{command_parser(name).format_help().rstrip()}\n```\n"
        for name, (_, text) in COMMANDS.items()
    ]
    return "\n".join([_HEAD, *sections])


if __name__ == "__main__":
    sys.stdout.write(reference())
