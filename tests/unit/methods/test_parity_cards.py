"""Parity cards: each golden that a registry entry names has one, and none tells of a comparison that was not made."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from methods import registry
from tests.parity import comparison
from tests.parity.comparison import Comparison, write_cards
from tests.parity.goldens import EXPECTED, golden

GOLDENS = sorted({(entry.name, name) for entry in registry.entries().values() for name in entry.golden})


@pytest.mark.parametrize(("entry", "name"), GOLDENS)
def test_every_golden_has_a_card(entry: str, name: str) -> None:
    card = registry.parity_cards()[name]
    assert card["golden"] == name
    assert card["arrays"] >= 1 and card["date"] and card["tolerance"]["atol"] > 0
    assert 0 <= card["largest_share_of_tolerance"] <= 1


def test_every_built_in_method_says_what_it_was_compared_with() -> None:
    built_in = [entry for entry in registry.entries().values() if entry.origin == "built-in"]
    assert not [entry.name for entry in built_in if bool(entry.golden) == bool(entry.no_golden)]


def test_every_golden_here_has_a_card() -> None:
    assert {path.stem for path in EXPECTED.glob("*.xz")} == registry.parity_cards().keys()


def arrays() -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(value) for name, value in golden("flow_blocks")[0].items()}


def test_a_card_is_written_only_of_a_whole_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "CARDS", tmp_path)
    part, whole = Comparison.of("flow_blocks"), Comparison.of("flow_blocks")
    part.check("warp", arrays()["warp"])
    write_cards([(part, "flow", "")])
    assert not list(tmp_path.iterdir())
    whole.check_all(arrays())
    write_cards([(whole, "flow", "")])
    assert [path.name for path in tmp_path.iterdir()] == ["flow_blocks.json"]


def test_an_array_that_the_golden_lacks_must_be_given_as_absent() -> None:
    expected, value = Comparison.of("flow_blocks"), torch.zeros(1)
    with pytest.raises(AssertionError, match="flow_blocks has no surprise"):
        expected.check_all({"surprise": value})
    expected.check_all({"surprise": value}, absent={"surprise": "was never kept"})
    with pytest.raises(AssertionError, match="warp is not absent"):
        expected.check_all({"warp": value}, absent={"warp": "was kept"})


def test_an_array_may_be_held_to_less() -> None:
    expected = Comparison.of("flow_blocks")
    near = arrays()["warp"] + 5e-6
    expected.check("warp", near)
    with pytest.raises(AssertionError, match="deviates"):
        expected.check("warp", near, atol=1e-6)
    assert expected.card()["tolerance"]["stricter_arrays"] == 1


@pytest.mark.parametrize("name", sorted(path.stem for path in EXPECTED.glob("*.xz")))
def test_every_golden_says_its_tolerance(name: str) -> None:
    assert 0 < Comparison.of(name).atol <= 2e-3
