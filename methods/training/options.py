"""Tables of a recipe to a task's frozen `Options`; see `bench.core.schema`."""

from bench.core.schema import differing
from bench.core.schema import from_table as read_options

__all__ = ["differing", "read_options"]
