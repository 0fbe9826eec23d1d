"""The command line: one file a command, loaded when it is called; `run` where none is named.

Nothing here imports torch: `--help` and a mistyped name answer at once.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from types import FrameType, ModuleType
from typing import Any, NoReturn

from bench.core.errors import BenchError, ExitCode, MissingError, unknown_name

# Command -> module of this folder and one line of help; each module has `arguments(parser)` and `run(options) -> int`.
COMMANDS = {
    "run": ("run_command", "run the benchmark (the default)"),
    "edit": ("edit_command", "edit photographs: one in, edited PNGs out"),
    "ls": ("list_command", "list methods, edits, metrics, presets or protocols"),
    "check": ("check_command", "conformance tests of a method"),
    "data": ("data_command", "look at a data set's folder"),
    "weights": ("weights_command", "list, fetch, verify or locate checkpoints"),
    "edits": ("edits_command", "list edits or fit new directions"),
    "time": ("time_command", "time methods, stage by stage"),
    "report": ("report_command", "make a run's tables and pages again from its rows"),
    "compare": ("compare_command", "two methods of a run, picture by picture"),
    "gate": ("gate_command", "compare two runs and exit 1 when the second is worse"),
    "synthetic": ("synthetic_command", "write the synthetic world to disk"),
    "env": ("env_command", "versions, devices and folders"),
}
INTERNAL_FAULT = 70


class Parser(argparse.ArgumentParser):
    """argparse with the house's errors: close names, exit code 2, and no abbreviations."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong in the shape of every other error."""
        prefix = "unrecognized arguments: "
        if message.startswith(prefix):
            word = message.removeprefix(prefix).split()[0]
            options = [option for action in self._actions for option in action.option_strings]
            if word.startswith("-"):
                _say(unknown_name("option", word.partition("=")[0], [o for o in options if o.startswith("--")]))
                raise SystemExit(int(ExitCode.USAGE))
            message = f"unexpected {word!r}"
        _say(BenchError(message, f"{self.prog} --help"))
        raise SystemExit(int(ExitCode.USAGE))


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code; the last stop of every error."""
    words = list(sys.argv[1:] if argv is None else argv)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _dispatch(words)
    except BenchError as error:
        _say(error)
        return int(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted; results so far are kept, the same command carries on", file=sys.stderr)
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        # The reader went away (`| head`); there is nobody left to tell.
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115
        return int(ExitCode.OK)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("bench", "methods", "metrics", "reports"):
            raise
        _say(
            MissingError(f"the Python package {error.name} is not installed here", "make setup, then .venv/bin/python")
        )
        return int(ExitCode.MISSING)
    except Exception as error:
        if os.environ.get("WARPRES_BENCH_DEBUG"):
            raise
        print(f"error: internal fault: {type(error).__name__}: {error}", file=sys.stderr)
        print("  next: set WARPRES_BENCH_DEBUG=1 and run it again to see where", file=sys.stderr)
        return INTERNAL_FAULT


def _dispatch(words: list[str]) -> int:
    top = ("-h", "--help", "--version")
    if words and not words[0].startswith("-") and words[0] not in COMMANDS:
        raise unknown_name("command", words[0], list(COMMANDS))
    if words and words[0] in top:
        _overview().parse_args(words)
        return int(ExitCode.OK)
    name = words.pop(0) if words and words[0] in COMMANDS else "run"
    options = command_parser(name).parse_args(words)
    options.words = [name, *words]
    return int(_module(name).run(options))


def command_parser(name: str) -> Parser:
    """The parser of a command of `COMMANDS`."""
    module = _module(name)
    parser = Parser(prog=f"run_bench.py {name}", description=module.__doc__, formatter_class=_Plain)
    module.arguments(parser)
    return parser


def _module(name: str) -> ModuleType:
    return import_module(f"bench.cli.{COMMANDS[name][0]}")


class _Plain(argparse.RawDescriptionHelpFormatter):
    """Descriptions as they are written, help texts in one column of 80."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26, width=80)


def _overview() -> Parser:
    lines = [f"  {name:<10} {text}" for name, (_, text) in COMMANDS.items()]
    parser = Parser(
        prog="run_bench.py",
        usage="run_bench.py [command] [options]",
        description="Benchmark of StyleGAN inversion and editing.\n\ncommands:\n" + "\n".join(lines),
        epilog="run_bench.py COMMAND --help explains a command. Without one, `run` is meant:\n"
        "  run_bench.py --methods warpres,styleres --edits smile,pose",
        formatter_class=_Plain,
    )
    parser.add_argument("--version", action="version", version=_version())
    return parser


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"warpres-bench {version('warpres-bench')}"
    except PackageNotFoundError:
        return "warpres-bench (not installed)"


def _say(error: BenchError) -> None:
    print(f"error: {error}", file=sys.stderr)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    # A batch system's SIGTERM is a polite Ctrl-C: what is done is kept.
    raise KeyboardInterrupt
