"""`--plugin`: the only way by which code that is not ours is loaded."""

from __future__ import annotations

from argparse import _ActionsContainer
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.cli.printing import tell


def add_plugin(parser: _ActionsContainer, adds: str = "methods") -> None:
    """Declare it on a parser or a group of one; `options.plugin` is for `bench.plan.plugins.load_plugins`."""
    parser.add_argument(
        "--plugin", action="append", default=[], metavar="MODULE", help=f"Python module that adds {adds}"
    )


def load_for_runs(names: Sequence[str], manifests: Iterable[Mapping[str, Any]]) -> None:
    """Load the plug-ins that a user names for reading runs, and say where they are not what a run was made with.

    Raises MissingError where a module cannot be imported, UsageError where it offers nothing or a name is taken.
    """
    from bench.plan.plugins import load_plugins
    from bench.results.recorded import changed_plugins

    if not names:
        return
    load_plugins(names)
    for manifest in manifests:
        for name in changed_plugins(manifest):
            tell(f"note: plug-in {name} is not the code that {manifest['run']} was made with")
