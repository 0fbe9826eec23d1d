"""Tables to dataclasses: what is understood, and how a mistake is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from bench.core.errors import MissingError, UsageError
from bench.core.schema import Bounds, checked, differing, from_table, overlay, plain, read_toml


@dataclass(frozen=True)
class Inner:
    size: int = 3
    share: float = 0.5


@dataclass(frozen=True)
class Outer:
    name: str
    kind: Literal["a", "b"] = "a"
    words: tuple[str, ...] = ()
    pair: tuple[int, int] = (1, 2)
    inner: Inner = field(default_factory=Inner)
    widths: Mapping[int, int] = field(default_factory=dict)
    by_name: Mapping[str, Inner] = field(default_factory=dict)
    limit: int | None = None
    either: float | str = 0.0
    loose: Mapping[str, Any] = field(default_factory=dict)


WHOLE = {
    "name": "x", "kind": "b", "words": "one", "pair": [3, 4], "inner": {"size": 5, "share": 1}, "widths": {"8": 512},
    "by_name": {"k": {"size": 7}}, "limit": None, "either": "auto", "loose": {"any": [1, "x"]},
}  # fmt: skip


def test_a_table_becomes_its_dataclass_and_goes_back() -> None:
    made = from_table(Outer, WHOLE, "file")
    assert made.words == ("one",)
    assert made.inner == Inner(5, 1.0) and isinstance(made.inner.share, float)
    assert made.widths == {8: 512} and made.by_name == {"k": Inner(7)}
    assert (made.pair, made.either, made.limit) == ((3, 4), "auto", None)
    assert from_table(Outer, plain(made), "file") == made
    assert differing(from_table(Outer, {"name": "x", "kind": "a"}, "file")) == {"name": "x"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"nmae": "x"}, "did you mean name"),
        ({"inner": {"sise": 3}}, "inner: unknown key 'sise'\n  next: did you mean size"),
        ({"inner": {"size": 3.5}}, "file: inner.size is 3.5, but must be a whole number"),
        ({"inner": {"size": True}}, "a whole number"),
        ({"inner": {"share": float("nan")}}, "a finite number"),
        ({"inner": 3}, "a table"),
        ({"pair": [1]}, "a list of 2"),
        ({"kind": "c"}, "known: a, b"),
        ({"words": [1]}, "text"),
        ({"widths": {"x": 1}}, "a whole number"),
        ({"by_name": {"k": {"size": "7"}}}, "by_name.k.size is '7'"),
        ({"limit": "3"}, "a whole number"),
        ({"either": []}, "text"),
    ],
)
def test_mistakes_are_named_by_file_and_key(change: dict[str, Any], says: str) -> None:
    for make in (lambda: from_table(Outer, {**WHOLE, **change}, "file"), lambda: overlay(Outer("x"), change, "file")):
        with pytest.raises(UsageError) as caught:
            make()
        assert says in str(caught.value)
        assert "file" in caught.value.what


def test_absent_keys_are_named() -> None:
    with pytest.raises(UsageError, match="file lacks name"):
        from_table(Outer, {}, "file")
    assert checked(Outer, {"pair": [5, 6]}, "file") == {"pair": (5, 6)}


def test_an_overlay_replaces_keys_and_merges_tables() -> None:
    first = overlay(Outer("x", by_name={"k": Inner(1)}), {"inner": {"size": 9}, "by_name": {"l": {}}}, "file")
    assert first.inner == Inner(9, 0.5) and first.by_name == {"k": Inner(1), "l": Inner()}


def test_a_file_that_is_not_toml(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"protocol .*none\.toml: cannot be read"):
        read_toml(tmp_path / "none.toml", "protocol")
    (tmp_path / "bad.toml").write_text("[x")
    with pytest.raises(UsageError, match="is not TOML"):
        read_toml(tmp_path / "bad.toml")


@dataclass(frozen=True)
class Bounded:
    share: Annotated[float, Bounds(0, 1)] = 0.5
    decays: tuple[Annotated[float, Bounds(0, below=1)], ...] = ()
    rate: Annotated[float, Bounds(above=0)] | None = None


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"share": 1.5}, "here: share is 1.5, but must be at most 1"),
        ({"share": -1}, "at least 0"),
        ({"decays": [0.5, 1]}, "below 1"),
        ({"rate": 0}, "more than 0"),
        ({"rate": "x"}, "a finite number"),
    ],
)
def test_a_number_beyond_its_bounds_is_refused(table: Mapping[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        from_table(Bounded, table, "here")
    assert said in caught.value.what


def test_the_bounds_themselves_are_within() -> None:
    found = from_table(Bounded, {"share": 1, "decays": [0, 0.99], "rate": 1e-9}, "here")
    assert (found.share, found.decays, found.rate) == (1.0, (0.0, 0.99), 1e-9)
