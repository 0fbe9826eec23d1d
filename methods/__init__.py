"""Inversion-and-editing methods: `load_method` gives any of them ready to run, `method_names` lists them.

`help(methods.load_method)` has the arguments; `help(bench.api)` an example from an image file to its edit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from methods.registry import describe, load_method, method_names

__all__ = ["describe", "load_method", "method_names"]


def __getattr__(name: str) -> object:
    # Lazy: `import methods.nets` must not pull in every adapter.
    if name in __all__:
        from methods import registry

        return getattr(registry, name)
    raise AttributeError(f"module 'methods' has no attribute {name!r}")
