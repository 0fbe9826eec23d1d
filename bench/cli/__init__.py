"""The command line: one file a command, loaded when it is called; `run` where none is named.

Nothing here imports torch: `--help` and a mistyped name answer at once.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from types import FrameType, ModuleType
from typing import NoReturn

from bench.cli.parser import Parser, check_words, say
from bench.cli.program import as_typed, program
from bench.core.errors import BenchError, ExitCode, MissingError, UsageError, unknown_name
from bench.core.strangers import OURS, refuse_strangers
from bench.core.text_table import wrapped

# Command -> module of this folder and one line of help; each module has `arguments(parser)` and `run(options) -> int`.
COMMANDS = {
    "run": ("run_command", "run the benchmark (the default)"),
    "edit": ("edit_command", "edit photographs: one in, edited PNGs out"),
    "ls": ("list_command", "list methods, edits, metrics, presets, protocols, data or runs"),
    "check": ("check_command", "conformance tests of a method"),
    "data": ("data_command", "look at a data set's folder"),
    "weights": ("weights_command", "list, fetch, verify or locate checkpoints"),
    "edits": ("edits_command", "list edits or fit new directions"),
    "time": ("time_command", "time methods, stage by stage"),
    "report": ("report_command", "make a run's tables and pages again; merge several runs"),
    "cache": ("cache_command", "what runs take on disk, and remove what nobody would use"),
    "compare": ("compare_command", "two methods of a run, image by image"),
    "gate": ("gate_command", "compare two runs and exit 1 when the second is worse"),
    "leaderboard": ("leaderboard_command", "one page of many results files; check a submission"),
    "synthetic": ("synthetic_command", "write the synthetic world to disk"),
    "env": ("env_command", "versions, devices and folders"),
}
# What people of this field try, and where it is.
_ELSEWHERE = {
    "invert": "run_bench.py edit --help: inversion and reconstruction are its first step",
    "list": "run_bench.py ls --help",
    "train": "python -m methods.training --help",
    "fetch": "run_bench.py weights --help",
    "download": "run_bench.py weights --help",
    "verify": "run_bench.py weights --help",
}
_TOP = ("-h", "--help", "--version")
INTERNAL_FAULT = 70
# Modules of packages that not everybody has -> the extra that brings them.
EXTRAS = {
    "argcomplete": "complete",
    "dask": "dask",
    "distributed": "dask",
    "dlib": "align",
    "face_recognition_models": "align",
    "gdown": "fetch",
    "open_clip": "text",
    "submitit": "slurm",
    "tensorboard": "train",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code; the last stop of every error."""
    words = list(sys.argv[1:] if argv is None else argv)
    signal.signal(signal.SIGTERM, _interrupt)
    _speak_utf8()
    try:
        refuse_strangers()
        return _dispatch(words)
    except BenchError as error:
        say(error)
        return int(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted; results so far are kept, the same command carries on", file=sys.stderr)
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        # The reader went away (`| head`); there is nobody left to tell.
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115
        return int(ExitCode.OK)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("bench", *OURS):
            raise
        say(_absent(error.name or str(error)))
        return int(ExitCode.MISSING)
    except (OSError, MemoryError) as error:
        if os.environ.get("WARPRES_BENCH_DEBUG"):
            raise
        say(_of_system(error))
        return int(ExitCode.MISSING)
    except Exception as error:
        if os.environ.get("WARPRES_BENCH_DEBUG"):
            raise
        print(f"error: internal fault: {type(error).__name__}: {error}", file=sys.stderr)
        print("  next: set WARPRES_BENCH_DEBUG=1 and run it again to see where", file=sys.stderr)
        return INTERNAL_FAULT


def _speak_utf8() -> None:
    # Titles and tables have signs that a console's own encoding may lack (cp1252), file names perhaps bytes that are
    # no text; neither may end a run.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def _of_system(error: OSError | MemoryError) -> MissingError:
    """What the machine lacks or refuses, where no command knows better."""
    if isinstance(error, MemoryError):
        return MissingError(f"out of memory: {error}", "free some, or ask for less")
    file = f"{str(error.filename)[:200]}: " if error.filename else ""
    return MissingError(f"{file}{error.strerror or error}", "check that the file is there and may be read or written")


def _dispatch(words: list[str]) -> int:
    if words[:1] == ["help"]:
        words = [*words[1:2], "--help"]
    if "_ARGCOMPLETE" in os.environ:
        from bench.cli.completion import complete

        complete({name: (text, command_module(name).arguments) for name, (_, text) in COMMANDS.items()})
    if words and not words[0].startswith("-") and words[0] not in COMMANDS:
        raise _no_command(words[0])
    if words and words[0] in _TOP:
        _overview().parse_args(words)
        return int(ExitCode.OK)
    name = words.pop(0) if words and words[0] in COMMANDS else "run"
    check_words(words)
    options = command_parser(name, program()).parse_args(words)
    options.words = [name, *words]
    return int(command_module(name).run(options))


def _no_command(word: str) -> UsageError:
    if word in _ELSEWHERE:
        return UsageError(f"there is no command {word!r}", _ELSEWHERE[word])
    return unknown_name("command", word, list(COMMANDS))


def command_parser(name: str, called: str = "run_bench.py") -> Parser:
    """The parser of a command of `COMMANDS`; its help calls the program `called`."""
    module = command_module(name)
    parser = Parser(prog=f"{called} {name}", description=(module.__doc__ or "").replace("run_bench.py", called))
    module.arguments(parser)
    return parser


def command_module(name: str) -> ModuleType:
    """The module of a command of `COMMANDS`."""
    return import_module(f"bench.cli.{COMMANDS[name][0]}")


def _overview() -> Parser:
    lines = wrapped([(name, text) for name, (_, text) in COMMANDS.items()], indent="  ")
    parser = Parser(
        prog=program(),
        usage=f"{program()} [command] [options]",
        description="Benchmark of StyleGAN inversion and editing.\n\ncommands:\n" + "\n".join(lines),
        epilog=as_typed(
            "run_bench.py COMMAND --help explains a command. Without one, `run` is meant:\n"
            "  run_bench.py --methods warpres,styleres --edits smile,pose"
        ),
    )
    parser.add_argument("--version", action="version", version=_version())
    return parser


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"warpres-bench {version('warpres-bench')}"
    except PackageNotFoundError:
        return "warpres-bench (not installed)"


def _absent(module: str) -> MissingError:
    """What to do about a module that is not here: a package to install, or a part of Python that this system lacks."""
    if module.partition(".")[0] in sys.stdlib_module_names:
        return MissingError(
            f"this needs Python's own module {module}, which Linux and macOS have and this system has not",
            "on Windows, run the same command inside WSL",
        )
    extra = EXTRAS.get(module.partition(".")[0])
    step = f"pip install 'warpres-bench[{extra}]'" if extra else "make setup, then .venv/bin/python"
    return MissingError(f"the Python package {module} is not installed here", step)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    # A batch system's SIGTERM is a polite Ctrl-C: what is done is kept.
    raise KeyboardInterrupt
