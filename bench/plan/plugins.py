"""Methods of other modules, named on the command line (installed ones come by their entry point)."""

from __future__ import annotations

from collections.abc import Sequence

from bench.core.domains import register_domain
from bench.core.errors import UsageError
from bench.core.modules import import_module


def load_plugins(names: Sequence[str]) -> None:
    """Import modules (by name, or a .py file) and register what their METHODS, KINDS and DOMAINS tuples offer.

    METRICS are registered by their own decorator, `metrics.columns.kind`.

    Raises MissingError where a module cannot be imported, UsageError where it offers nothing or a name is taken.
    """
    from bench.data import register_kind
    from methods import registry

    for name in names:
        module = import_module(name)
        offered = {what: getattr(module, what, ()) for what in ("DOMAINS", "KINDS", "METHODS", "METRICS")}
        if not any(offered.values()):
            raise UsageError(f"plug-in {name} has no METHODS", "METHODS = (methods.registry.MethodEntry(...),)")
        for domain in offered["DOMAINS"]:
            register_domain(domain)
        for kind in offered["KINDS"]:
            register_kind(kind)
        for entry in offered["METHODS"]:
            registry.register(entry, origin=name)
