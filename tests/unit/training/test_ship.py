"""What is shipped, what is refused, what the card says of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.core.checkpoint import write_safetensors
from bench.core.errors import ExitCode
from bench.core.metadata import read_metadata
from methods.training import world_card
from methods.training.card_figures import draw_trade_off, draw_training, held_out_curve, late_gain, loss_curve, records
from methods.training.recipe import load_recipe
from methods.training.ship import RECORDS, main, thinned

STEPS = load_recipe("world/styleres").steps


def trained(runs: Path, steps: int = STEPS, **figures: float) -> None:
    folder = runs / "world/styleres"
    folder.mkdir(parents=True)
    metadata = {"made": {"steps": steps, "recipe": "world/styleres"}, "held_out": figures}
    write_safetensors(folder / "styleres.safetensors", {"x": torch.ones(1)}, metadata)
    lines: list[dict[str, Any]] = [{"step": k, "losses": {"l2": 1 / k, "gradient/l2": 1.0}} for k in range(1, 301)]
    lines += [{"step": k, "check": {"psnr": 20 + k / 100}} for k in (100, 300)]
    (folder / "log.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")


def test_a_finished_training_is_shipped_with_a_thin_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained(tmp_path / "runs", mse=0.01)
    (tmp_path / "into").mkdir()
    assert main([str(tmp_path / "runs"), "--into", str(tmp_path / "into")]) == 0
    assert "shipped" in capsys.readouterr().out
    assert read_metadata(tmp_path / "into/styleres.safetensors")["held_out"] == {"mse": 0.01}
    log = records(tmp_path / "into/logs/styleres.jsonl")
    losses = [record for record in log if "losses" in record]
    assert len(losses) == RECORDS
    assert (losses[0]["step"], losses[-1]["step"]) == (1, 300)
    assert loss_curve(log)[1][0] == 1.0, "a gradient's share is no loss"
    short = {"step": 301, "losses": {"discriminator": 1.4}}
    assert loss_curve([*log, short]) == loss_curve(log), "neither a critic's loss nor a record without the terms"
    assert held_out_curve(log) == ("psnr", ([100.0, 300.0], [21.0, 23.0]))
    draw_training([tmp_path / "into/logs/styleres.jsonl"], tmp_path / "training.png")
    assert (tmp_path / "training.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("steps", "figures", "why"),
    [
        (STEPS - 1, {"mse": 0.01}, "stopped at step"),
        (STEPS, {"mse": float("nan")}, "mse is no number"),
        (STEPS, {"mse": 0.03}, "is worse than the shipped file's 0.02"),
        (STEPS, {"mse": 0.02, "asked_psnr": 22.0}, "asked_psnr 22.0 is worse than the shipped file's 23.5"),
        (STEPS, {"mse": 0.01, "psnr": 19.0, "psnr_before": 19.5}, "is not better than the 19.5 of what it builds on"),
    ],
)
def test_what_fails_a_check_stays_out(
    tmp_path: Path, steps: int, figures: dict[str, float], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    trained(tmp_path / "runs", steps, **figures)
    into = tmp_path / "into"
    into.mkdir()
    before = {"mse": 0.02, "asked_psnr": 23.5}
    write_safetensors(into / "styleres.safetensors", {"x": torch.zeros(1)}, {"held_out": before})
    assert main([str(tmp_path / "runs"), "--into", str(into)]) == 1
    assert why in capsys.readouterr().out
    assert read_metadata(into / "styleres.safetensors")["held_out"] == before
    assert not (into / "logs").exists()


def test_the_gain_of_the_last_fifth() -> None:
    log = [
        {"step": step, "check": {"mse": error}} for step, error in ((50, 0.04), (80, 0.02), (90, 0.018), (100, 0.015))
    ]
    assert late_gain(log) == pytest.approx(0.25)
    assert late_gain([*log[:1], *log[2:]]) == pytest.approx(1 - 0.015 / 0.0235)  # on the line from 50 to 90
    assert late_gain([{"step": 100, "check": {"mse": 0.01}}]) is None


def test_short_logs_stay_whole(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"step": 1, "losses": {"a": 1.0}}\n{"step": 2, "check": {"mse": 0.5}}\n')
    assert "".join(f"{line}\n" for line in thinned(log)) == log.read_text()


def test_the_trade_off_is_drawn(tmp_path: Path) -> None:
    figures = {"psnr": 25.0, "asked_psnr": 22.0, "pose+/kept": 0.5, "pose-/kept": 0.7}
    curves = [
        {"method": method, "regulariser": weight, "w_consistency": asks, "figures": figures}
        for method in ("styleres", "warpres")
        for weight, asks in ((0.1, 0.0), (0.3, 0.0), (0.1, 0.1))
    ]
    draw_trade_off({"curves": curves}, tmp_path / "trade-off.png")
    assert (tmp_path / "trade-off.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--into", "FILE/x"], "is no folder"),
        (["--only", "stylress"], "did you mean styleres"),
        ([], "nothing to ship"),
    ],
)
def test_what_cannot_be_shipped_is_said(
    tmp_path: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    words = [word.replace("FILE", str(tmp_path / "file")) for word in words]
    assert main([str(tmp_path), *words]) in (ExitCode.USAGE, ExitCode.MISSING)
    assert said in capsys.readouterr().err


def test_the_card_s_folder_is_looked_at_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(world_card, "lines", pytest.fail)
    (tmp_path / "file").touch()
    assert world_card.main([str(tmp_path / "file")]) == ExitCode.USAGE
    assert "is no folder" in capsys.readouterr().err
