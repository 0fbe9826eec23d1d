"""The configuration: what wins over what, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.core.errors import BenchError, ExitCode
from bench.plan.config import Config, load_config, preset_names


def test_later_layers_win(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('protocols = "fake-1"\n[data]\nlimit = 7\nsplit = "val"\n[edits.strengths]\nsmile = 2\n')
    assert load_config("paper-faces").edits.strengths == {"smile": (3.0,), "pose": (3.0,)}
    config = load_config("paper-faces", file, {"data": {"limit": 9}})
    # default, preset, file, command line
    assert config.run.seed == 0
    assert config.data.name == "celebahq"
    assert config.data.split == "val"
    assert config.data.limit == 9
    assert config.protocols == ("fake-1",)
    assert config.edits.strengths == {"smile": (2.0,), "pose": (3.0,)}


def test_a_file_may_name_its_preset_and_the_command_line_another(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('preset = "paper-cars"\n')
    assert load_config(file=file).preset == "paper-cars"
    assert load_config("paper-faces", file).preset == "paper-faces"
    assert load_config().preset == "synthetic"


@pytest.mark.parametrize("name", preset_names())
def test_presets_are_whole(name: str) -> None:
    config = load_config(name)
    assert config.methods
    assert config.protocols
    assert config.edits.names or name == "own"  # whose edits are found in that generator first
    assert config.title
    assert set(config.variants) <= set(config.methods)


@pytest.mark.parametrize(
    ("layer", "says"),
    [
        ({"method": ["e4e"]}, "methods"),
        ({"data": {"limt": 3}}, "did you mean limit"),
        ({"data": {"limit": "3"}}, "a whole number"),
        ({"data": {"limit": 0}}, "at least 1"),
        ({"data": "celebahq"}, "must be a table"),
        ({"run": {"device": "gpu"}}, "known: auto, cpu, cuda, mps"),
        ({"run": {"name": "a/b"}}, "plain folder name"),
        ({"edits": {"mode": "fxied"}}, "fixed"),
        ({"methods": ["e4e", "e4e"]}, "named twice"),
        ({"variants": {"mine": {"title": "x"}}}, "lacks variants.mine.method"),
        ({"checkpoints": {"e4e": 3}}, "must be text"),
    ],
)
def test_what_does_not_fit_is_refused(layer: dict[str, object], says: str) -> None:
    with pytest.raises(BenchError) as error:
        load_config(command_line=layer)
    assert says in str(error.value)
    assert error.value.exit_code == ExitCode.USAGE


def test_unknown_preset_and_bad_file(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="unknown preset") as error:
        load_config("paper-face")
    assert "paper-faces" in error.value.next_step
    with pytest.raises(BenchError) as error:
        load_config(file=tmp_path / "none.toml")
    assert error.value.exit_code == ExitCode.MISSING
    (tmp_path / "bad.toml").write_text("[data")
    with pytest.raises(BenchError, match="not TOML"):
        load_config(file=tmp_path / "bad.toml")


def test_the_run_is_named_by_what_is_asked_not_by_how() -> None:
    def name(**layer: object) -> str:
        return load_config(command_line=layer).run_name()

    assert name() == name(run={"batch": 3, "output": "/elsewhere"})
    assert name() != name(data={"limit": 3})
    assert name() != name(methods=["warpres"])
    assert name() != name(run={"seed": 1})
    assert name(run={"name": "mine"}) == "mine"
    assert Config(run=load_config().run).run_folder().parent == Path("runs")
