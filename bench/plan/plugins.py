"""Methods of other modules, named on the command line (installed ones come by their entry point)."""

from __future__ import annotations

from collections.abc import Sequence

from bench.core.errors import UsageError
from bench.core.modules import import_module


def load_plugins(names: Sequence[str]) -> None:
    """Import modules (by name, or a .py file) and register the entries of their METHODS tuples.

    Raises MissingError where a module cannot be imported, UsageError where it has no METHODS or a name is taken.
    """
    from methods import registry

    for name in names:
        module = import_module(name)
        if not hasattr(module, "METHODS"):
            raise UsageError(f"plug-in {name} has no METHODS", "METHODS = (methods.registry.MethodEntry(...),)")
        for entry in module.METHODS:
            registry.register(entry, origin=name)
