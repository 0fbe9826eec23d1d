"""`all`, `ready` and patterns among the names of methods and edits, and where a method is ready."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.core.errors import UsageError
from bench.data import kind_of, kinds
from bench.plan.config import Config, load_config
from bench.plan.names import places_of, spelled_out
from bench.world.networks import WEIGHTS
from methods.registry import find


def spelled(*methods: str, preset: str = "synthetic", edits: tuple[str, ...] = ("smile",)) -> Config:
    layer: dict[str, Any] = {"methods": list(methods), "edits": {"names": list(edits)}}
    return spelled_out(load_config(preset, command_line=layer))


@pytest.fixture
def only_e4e(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A world with the weights of e4e alone, and its direction files."""
    for name in ("e4e.safetensors", "generator.safetensors", "directions.safetensors"):
        (tmp_path / name).symlink_to(WEIGHTS / name)
    monkeypatch.setitem(kinds(), "synthetic", replace(kind_of("synthetic"), weights=tmp_path))


def test_plain_names_stay_as_they_are_known_or_not() -> None:
    config = load_config("synthetic", command_line={"methods": ["warpres", "warpress"]})
    assert spelled_out(config) == config


def test_all_are_the_methods_that_the_world_has_or_can_train() -> None:
    names = spelled("all").methods
    assert names[:3] == load_config("synthetic").methods
    assert {"psp", "e4e", "restyle", "hyperstyle", "hfgi", "styletransformer", "featurestyle", "psp+warpres"} <= {
        *names
    }
    # The same networks under another name, and one that only the authors' files make.
    assert not {"e4e+warpres", "e4e+styleres", "styleres+flow"} & {*names}
    assert len(names) == len({*names})


@pytest.mark.usefixtures("only_e4e")
def test_ready_are_those_whose_files_are_here() -> None:
    assert spelled("ready").methods == ("e4e",)
    with pytest.raises(UsageError, match="no method is ready here"):
        spelled("ready", preset="paper-cars", edits=("grass",))


def test_all_of_a_preset_has_its_variants_and_its_domain() -> None:
    assert "warpres-pretrained-flow" in spelled("warpres*", preset="synthetic-ablation").methods
    cars = spelled("all", preset="paper-cars", edits=("grass",)).methods
    assert "hyperstyle" in cars
    assert not {"psp", "featurestyle"} & {*cars}


def test_patterns_choose_from_all_names_and_name_each_once() -> None:
    assert spelled("psp", "psp*").methods == ("psp", "psp+styleres", "psp+warpres")
    assert "e4e+warpres" in spelled("*+warpres").methods
    assert spelled("style[rt]*es").methods == ("styleres", "styletransformer+styleres", "styletransformer+warpres")
    with pytest.raises(UsageError, match="unknown method 'warpress\\*'") as caught:
        spelled("warpress*")
    assert "warpres" in caught.value.next_step


def test_edits_have_the_same_words() -> None:
    assert spelled("e4e", edits=("all",)).edits.names == ("age", "pose", "smile")
    assert spelled("e4e", edits=("ready",)).edits.names == ("age", "pose", "smile")
    assert spelled("e4e", edits=("pose", "*s*e")).edits.names == ("pose", "smile")
    everything = spelled("e4e", preset="paper-faces", edits=("all",)).edits.names
    assert {"smile", "pose", "age"} < {*everything}


@pytest.mark.usefixtures("only_e4e")
def test_places_say_where_a_method_is_ready_and_what_gets_it() -> None:
    e4e = {place.preset: place for place in places_of(find("e4e"))}
    assert e4e["synthetic"].ready
    assert not e4e["paper-cars"].ready
    assert "e4e-cars" in e4e["paper-cars"].next_step
    psp = {place.preset: place for place in places_of(find("psp"))}
    assert "methods.training world --only psp)" in psp["synthetic"].next_step
    assert "paper-cars" not in psp
    # Nobody released it, nor does a recipe make it for the world.
    assert "synthetic" not in {place.preset for place in places_of(find("styleres+flow"))}
