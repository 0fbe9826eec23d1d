"""Fixtures of the parity tests: full-size checkpoints filled on the spot, and cards of how close the networks come."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from tests import filling
from tests.parity.comparison import Comparison, write_cards


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """`with filled("e4e_ffhq", seed=0) as paths:` the checkpoint files of a manifest, removed afterwards."""

    @contextmanager
    def write(name: str, seed: int = 0, *, namespace: bool = False) -> Iterator[list[Path]]:
        folder = tmp_path_factory.mktemp(name)
        try:
            yield filling.write(name, folder, seed, namespace=namespace)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    return write


@pytest.fixture(scope="module")
def comparison(request: pytest.FixtureRequest) -> Iterator[Callable[..., Comparison]]:
    """`comparison("e4e_ffhq", method="e4e", domain="faces")`: a recorder, one per golden and module.

    With PARITY_CARDS=1 in the environment the cards of a module without failures are written when it is over.
    """
    made: dict[str, tuple[Comparison, str, str]] = {}

    def make(name: str, *, method: str = "", domain: str = "") -> Comparison:
        if name not in made:
            made[name] = (Comparison.of(name), method, domain)
        return made[name][0]

    failures = request.session.testsfailed
    yield make
    if os.environ.get("PARITY_CARDS") == "1" and request.session.testsfailed == failures:
        write_cards(made.values())


@pytest.fixture(scope="module", autouse=True)
def _tidy() -> Iterator[None]:
    """No gradients, and one method's networks gone before the next one's come."""
    with torch.inference_mode():
        yield
    gc.collect()
