"""Python modules that a user names: by import name, or as a file."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from bench.core.errors import MissingError


def import_module(name: str, what: str = "plug-in") -> ModuleType:
    """A module by name, or a .py file. Raises MissingError where it cannot be imported; `what` names it in messages."""
    path = Path(name)
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
    except ImportError as error:
        raise MissingError(f"{what} {name} cannot be imported: {error}") from error
