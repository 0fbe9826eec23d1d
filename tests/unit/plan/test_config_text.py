"""`--print-config`: what is printed is what `--config` takes, for every preset and for long command lines."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.cli import main
from bench.plan.config import Variant, load_config, preset_names
from bench.plan.config_text import config_text

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _leave_signals_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)


@pytest.mark.parametrize("preset", preset_names())
def test_every_preset_comes_back(preset: str, tmp_path: Path) -> None:
    config = load_config(preset)
    file = tmp_path / "a.toml"
    file.write_text(config_text(config), encoding="utf-8")
    assert load_config(None, file) == config


def test_odd_names_come_back(tmp_path: Path) -> None:
    layer = {
        "title": 'a "title"\\ with\ttabs, ü and \x7f',
        "checkpoints": {"e4e+warpres": ["C:\\a b.pt"]},
        "variants": {"mein e4e": Variant("e4e", "Mein e4e", ("x.pt",)).__dict__},
        "edits": {"strengths": {"smile": [1.5, -2.0]}, "names": []},
        "data": {"root": "räum 1", "limit": 3, "align": True},
        "run": {"slurm": {"partition": "a", "gpus_per_node": 1}},
    }
    config = load_config("paper-faces", command_line=layer)
    file = tmp_path / "a.toml"
    file.write_text(config_text(config), encoding="utf-8")
    assert load_config(None, file) == config


def test_a_command_line_comes_back_and_finds_its_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--methods", "WARPRES,psp", "--edits", "all", "--strength", "smile=2", "--limit", "4", "--seed", "3"]
    assert main([*words, "--print-config"]) == 0
    file = tmp_path / "kept.toml"
    file.write_text(capsys.readouterr().out, encoding="utf-8")
    assert 'methods = ["warpres", "psp"]' in file.read_text(encoding="utf-8")
    assert main([*words, "--dry-run"]) == 0
    plan = capsys.readouterr().out
    assert main(["--config", str(file), "--dry-run"]) == 0
    assert capsys.readouterr().out == plan


def test_the_documented_example_plans(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs/configuration.md").read_text(encoding="utf-8"), re.S)
    (tmp_path / "my-run.toml").write_text(example, encoding="utf-8")
    monkeypatch.chdir(ROOT)
    assert main(["--config", str(tmp_path / "my-run.toml"), "--dry-run"]) == 0
    plan = capsys.readouterr().out
    assert plan.split()[1].endswith("smiles")
    assert "24 of synthetic, val" in plan and "smile-1.5" in plan and "warpres-second" in plan
    assert "missing: nothing" in plan
