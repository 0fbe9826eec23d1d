"""What every test starts from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from methods import registry

BUILT_IN = dict(registry.entries())


@pytest.fixture(autouse=True)
def own_registry() -> Iterator[None]:
    """Methods that plug-ins of a test or of its module register are gone after it: they would be in the next "all"."""
    yield
    known = registry.entries()
    assert isinstance(known, dict)
    known.clear()
    known.update(BUILT_IN)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of many slow tests go first, so that processes that share the suite end together."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])
