from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.metrics.reference import write_networks


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Paths of auxiliary networks with filled weights, by registry name; each is written when first asked for."""
    return write_networks(tmp_path_factory.mktemp("networks"))
