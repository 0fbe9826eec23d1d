"""Methods of other modules, named on the command line (installed ones come by their entry point)."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any, TypeVar

from bench.core.domains import DomainSpec, register_domain
from bench.core.errors import UsageError
from bench.core.modules import OFFERS, import_module, remember_plugin

T = TypeVar("T")


def load_plugins(names: Sequence[str]) -> None:
    """Import modules (by name, or a .py file) and register what their METHODS, KINDS and DOMAINS tuples offer.

    METRICS are registered by their own decorator, `metrics.columns.kind`.

    Raises MissingError where a module cannot be imported, UsageError where it offers nothing or a name is taken.
    """
    from bench.data import Kind, register_kind
    from methods import registry

    for name in names:
        module = import_module(name)
        domains = _offered(module, name, "DOMAINS", DomainSpec)
        kinds = _offered(module, name, "KINDS", Kind)
        methods = _offered(module, name, "METHODS", registry.MethodEntry)
        if not any(getattr(module, what, ()) for what in OFFERS):
            raise UsageError(f"plug-in {name} has no METHODS", "METHODS = (methods.registry.MethodEntry(...),)")
        for domain in domains:
            register_domain(domain)
        for kind in kinds:
            register_kind(kind)
        for entry in methods:
            registry.register(entry, origin=name)
        remember_plugin(name, module)


def _offered(module: ModuleType, name: str, what: str, kind: type[T]) -> tuple[T, ...]:
    """What a module offers under a name: one of a kind, or several."""
    found: Any = getattr(module, what, ())
    several = (found,) if isinstance(found, kind) else found
    if not isinstance(several, tuple | list) or not all(isinstance(one, kind) for one in several):
        raise UsageError(
            f"{what} of plug-in {name} is no tuple of {kind.__name__}", f"{what} = ({kind.__name__}(...),)"
        )
    return tuple(several)
