"""Completion in a shell, by argcomplete (extra `complete`): commands, options, and the names that options take.

bash and zsh: eval "$(register-python-argcomplete warpres-bench)"
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping

from bench.cli.parser import LIST, Parser
from bench.core.errors import MissingError

Completer = Callable[..., list[str]]
# Command -> its line of help, and what adds its options to a parser.
Commands = Mapping[str, tuple[str, Callable[[argparse.ArgumentParser], None]]]


def complete(commands: Commands) -> None:
    """Answer the shell that asks (argcomplete's variables say what is typed) and end the process.

    Raises MissingError where argcomplete is not installed.
    """
    try:
        import argcomplete
    except ImportError:
        raise MissingError("completion needs argcomplete", "pip install 'warpres-bench[complete]'") from None
    argcomplete.autocomplete(whole_parser(commands))


def whole_parser(commands: Commands) -> Parser:
    """All commands in one parser, and `run`'s options where none is named; names have completers."""
    parser = Parser(prog="warpres-bench")
    choices = parser.add_subparsers()
    for name, (text, arguments) in commands.items():
        own = choices.add_parser(name, help=text)
        arguments(own)
        _add_completers(own)
    commands["run"][1](parser)
    _add_completers(parser)
    return parser


def _add_completers(parser: argparse.ArgumentParser) -> None:
    for action in parser._actions:
        known = next((_NAMES[word] for word in (*action.option_strings, action.dest) if word in _NAMES), None)
        if known is not None:
            action.completer = _completer(known, several=action.metavar == LIST)  # type: ignore[attr-defined]


def _completer(known: Callable[[], Iterable[str]], *, several: bool) -> Completer:
    def answer(prefix: str, **_: object) -> list[str]:
        before, comma, _last = prefix.rpartition(",") if several else ("", "", prefix)
        return [f"{before}{comma}{name}" for name in known()]

    return answer


def _methods() -> Iterable[str]:
    from methods.registry import method_names

    return [*method_names(), "all", "ready"]


def _edits() -> Iterable[str]:
    from bench.edits.cards import all_cards

    return [*dict.fromkeys(card.name for card in all_cards()), "all", "ready", "none"]


def _presets() -> Iterable[str]:
    from bench.plan.config import preset_names

    return preset_names()


def _protocols() -> Iterable[str]:
    from metrics.protocol import protocol_names

    return protocol_names()


def _weights() -> Iterable[str]:
    from bench.weights.registry import entries

    return entries()


# Option or positional -> the names it takes.
_NAMES: dict[str, Callable[[], Iterable[str]]] = {
    "--methods": _methods,
    "--method": _methods,
    "method": _methods,
    "--edits": _edits,
    "--preset": _presets,
    "--protocols": _protocols,
    "names": _weights,
}
