"""A manifest names plug-ins in the order they were asked for, however a process came to load them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.plan import manifest
from bench.plan.config import load_config


def test_the_order_is_that_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = [{"name": name, "code": name, "offers": []} for name in ("a.py", "other.py", "b.py")]
    monkeypatch.setattr(manifest, "loaded_plugins", lambda: loaded)
    config = replace(load_config("synthetic"), plugins=("b.py", "a.py", "b.py"))
    assert [own["name"] for own in manifest._plugins_record(config)] == ["b.py", "a.py"]
