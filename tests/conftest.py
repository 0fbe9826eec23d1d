"""What every test starts from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from methods import registry


@pytest.fixture(autouse=True)
def own_registry() -> Iterator[None]:
    """Methods that a test's plug-ins register are gone after it: they would be part of the next test's "all"."""
    before = dict(registry.entries())
    yield
    known = registry.entries()
    assert isinstance(known, dict)
    known.clear()
    known.update(before)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of many slow tests go first, so that processes that share the suite end together."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])
