"""Methods of other modules, named on the command line (installed ones come by their entry point)."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from bench.core.errors import MissingError, UsageError


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


def import_module(name: str, what: str = "plug-in") -> ModuleType:
    """A module by name, or a .py file. Raises MissingError where it cannot be imported; `what` names it in messages."""
    path = Path(name)
    try:
        if path.suffix != ".py":
            return importlib.import_module(name)
        if not path.is_file():
            raise MissingError(f"{what} {name}: no such file")
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    except ImportError as error:
        raise MissingError(f"{what} {name} cannot be imported: {error}") from error
