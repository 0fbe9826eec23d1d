"""Names, plug-ins and digests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.core.errors import UsageError
from methods import describe, load_method, method_names, registry
from methods.registry import MethodEntry
from tests.unit.methods.small import write_small

NAMES = {
    "psp", "e4e", "restyle", "restyle-psp", "hyperstyle", "hfgi", "styletransformer", "featurestyle", "styleres",
    "warpres", "psp+styleres", "e4e+styleres", "styletransformer+styleres", "psp+warpres", "e4e+warpres",
    "styletransformer+warpres",
}  # fmt: skip


def test_every_method_of_the_paper_has_its_name() -> None:
    assert set(method_names()) >= NAMES
    assert method_names() == sorted(method_names())


def test_close_names_are_offered() -> None:
    with pytest.raises(UsageError, match="unknown method 'hyprstyle'") as caught:
        load_method("hyprstyle", checkpoint="nowhere.pt")
    assert "did you mean hyperstyle" in caught.value.next_step


def test_domains_are_checked_before_files_are_read() -> None:
    with pytest.raises(UsageError, match="psp has no cars network"):
        load_method("psp", domain="cars", checkpoint="nowhere.pt")


class _Distribution:
    name = "their-package"


class _Point:
    name, value, dist = "theirs", "their_package:METHODS", _Distribution()

    def __init__(self, loaded: Any) -> None:
        self.loaded = loaded

    def load(self) -> Any:
        return self.loaded


@pytest.fixture
def plug_in(monkeypatch: pytest.MonkeyPatch) -> Any:
    def install(loaded: Any) -> None:
        monkeypatch.setattr(registry, "entry_points", lambda group: [_Point(loaded)] if group == registry.GROUP else [])
        registry.entries.cache_clear()

    yield install
    registry.entries.cache_clear()


def _build(entry: MethodEntry, domain: Any, checkpoints: Any) -> Any:
    raise NotImplementedError


def test_plug_ins_come_by_entry_point(plug_in: Any) -> None:
    plug_in(MethodEntry("theirs", _build, summary="a newcomer"))
    entry = registry.find("theirs")
    assert entry.origin == "their-package"
    assert [row["origin"] for row in describe() if row["name"] == "theirs"] == ["their-package"]


def test_a_built_in_is_never_shadowed(plug_in: Any) -> None:
    plug_in([MethodEntry("e4e", _build)])
    with pytest.raises(UsageError, match="'e4e' is claimed by built-in and by their-package"):
        method_names()


@pytest.mark.parametrize("name", ["real", "truth", "all", "a/b"])
def test_no_method_is_called_as_something_else_is(plug_in: Any, name: str) -> None:
    """Rows of the real images, words that stand for several methods, and what is no folder's name."""
    plug_in([MethodEntry(name, _build)])
    with pytest.raises(UsageError, match=f"their-package: method '{name}'"):
        method_names()
    with pytest.raises(UsageError, match=f"mine.py: method '{name}'"):
        plug_in([])
        registry.register(MethodEntry(name, _build), origin="mine.py")


def test_the_digest_follows_content_and_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_small(tmp_path, "e4e", "faces")
    entry = registry.find("e4e")
    first = registry.method_digest(entry, [path])
    assert first == registry.method_digest(entry, [path]) == load_method("e4e", checkpoint=path).digest  # type: ignore[attr-defined]
    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(path.read_bytes())
    assert registry.method_digest(entry, [copy]) == first
    copy.write_bytes(path.read_bytes() + b" ")
    assert registry.method_digest(entry, [copy]) != first
    monkeypatch.setattr(registry, "code_of", lambda build: "changed")
    assert registry.method_digest(entry, [path]) != first


def test_descriptions_are_plain_data() -> None:
    rows = {row["name"]: row for row in describe()}
    assert rows["hyperstyle"]["domains"] == ["faces", "cars"]
    assert len(rows["hyperstyle"]["files"]) == 2
    assert all(row["summary"] for row in rows.values())
