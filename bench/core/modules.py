"""Python modules that a user names: by import name, or as a file."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import Any

from bench.core.digest import code_of
from bench.core.errors import BenchError, MissingError, UsageError

# What a plug-in may offer, as tuples of these names.
OFFERS = ("METHODS", "KINDS", "DOMAINS", "METRICS")
# Plug-ins that are loaded: name as it was given -> module.
_plugins: dict[str, ModuleType] = {}


def remember_plugin(name: str, module: ModuleType) -> None:
    """Keep a plug-in's module for `loaded_plugins`."""
    _plugins[name] = module


def loaded_plugins() -> list[dict[str, Any]]:
    """What a manifest holds of each plug-in: its name as it was given, the digest of its code, what it offers."""
    return [
        {"name": name, "code": code_of(module), "offers": [what for what in OFFERS if getattr(module, what, ())]}
        for name, module in _plugins.items()
    ]


def import_module(name: str, what: str = "plug-in") -> ModuleType:
    """A module by name, or a .py file. Raises MissingError where it cannot be imported; `what` names it in messages."""
    path = Path(name)
    if path.suffix != ".py" and not all(part.isidentifier() for part in name.split(".")):
        raise UsageError(f"{what} {name!r} is no module's name", "give a module by its name, or a .py file")
    try:
        if path.suffix != ".py":
            return importlib.import_module(name)
        if not path.is_file():
            raise MissingError(f"{what} {name}: no such file")
        spec = importlib.util.spec_from_file_location(f"plugin_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # where dataclasses and digests look for a class's module
        spec.loader.exec_module(module)
        return module
    except BenchError:
        raise
    except ImportError as error:
        raise MissingError(f"{what} {name} cannot be imported: {error}") from error
    except (Exception, SystemExit) as error:  # whatever somebody's module does when it is run
        at = f" (line {found[-1].lineno} of {found[-1].filename})" if (found := extract_tb(error.__traceback__)) else ""
        raise MissingError(f"{what} {name} cannot be imported: {type(error).__name__}: {error}{at}") from error
