"""The sweep: trials that the command line accepts, one rule for both methods, and what recipes take from it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from bench.core.errors import MissingError
from methods.training import sweep, sweep_edges
from methods.training.checkpoints import save_checkpoint
from methods.training.extension import shipped_images
from methods.training.provenance import chosen_recipe, key
from methods.training.recipe import load_recipe
from methods.training.sweep import Settings
from methods.training.task import Context
from methods.training.trials import Trial


def settings(runs: Path) -> Settings:
    return Settings(runs, "cpu", 2, 5, 7)


def scored(trial: Trial) -> Trial:
    """StyleRes does best at lambda .1, WarpRes at .03; both at w-consistency .3."""
    wanted = {"styleres": 0.1, "warpres": 0.03}[trial.method]
    score = 20 - abs(trial.regulariser - wanted) + trial.w_consistency
    images = settings(Path()).steps_of(trial) * load_recipe(trial.recipe).batch
    return replace(trial, images=images, figures={"asked_psnr": score, "psnr": 25.0})


def test_a_trial_is_a_recipe_with_other_weights(tmp_path: Path) -> None:
    trial = Trial("warpres", 0.3, 0.1)
    line = sweep.command(trial, settings(tmp_path))
    assert line[:4] == [sys.executable, "-m", "methods.training", "world/warpres"]
    recipe = load_recipe("world/warpres", [line[k + 1] for k, part in enumerate(line) if part == "--set"])
    assert (recipe.name, recipe.steps, recipe.output) == (trial.name, 7, "trial.safetensors")
    assert recipe.options["weights"]["regulariser"] == 0.3
    assert recipe.options["weights"]["w_consistency"] == 0.1
    assert recipe.chosen_by == ""
    assert "sweep.json" not in recipe.needs
    assert not (tmp_path / trial.name).is_relative_to(tmp_path / "world"), "no part of a trial is ever found"


def test_the_papers_losses_have_trials_of_their_own_length(tmp_path: Path) -> None:
    line = sweep.command(Trial("styleres", 0.3), settings(tmp_path))
    recipe = load_recipe("world/styleres-paper", [line[k + 1] for k, part in enumerate(line) if part == "--set"])
    assert recipe.steps == 5
    assert recipe.options["weights"]["regulariser"] == 0.3


def test_both_methods_get_every_weight_and_their_own_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Trial] = []

    def run(trials: Sequence[Trial], where: Settings) -> list[Trial]:
        asked.extend(trials)
        return [scored(trial) for trial in trials]

    monkeypatch.setattr(sweep, "run", run)
    monkeypatch.setattr(sweep, "inputs", lambda needs, runs: dict.fromkeys(needs, "0"))
    path = sweep.write(*sweep.sweep(settings(tmp_path)), settings(tmp_path))
    for method in sweep.METHODS:
        assert len({trial.regulariser for trial in asked if trial.method == method}) >= 5
        assert len({trial.w_consistency for trial in asked if trial.method == method and trial.w_consistency}) >= 3
    content = json.loads(path.read_text())
    assert content["chosen"]["world/styleres-paper"] == {"weights.regulariser": 0.1}
    assert content["chosen"]["world/warpres"] == {"weights.regulariser": 0.03, "weights.w_consistency": 0.3}
    assert content["chosen"]["world/warpres-pretrained-flow"] == content["chosen"]["world/warpres"]
    assert len(content["curves"]) == len(asked)
    first = len(asked)
    sweep.write(*sweep.sweep(settings(tmp_path)), settings(tmp_path))
    assert all(trial.w_consistency for trial in asked[first:]), "the first round is there already"
    assert sweep.earlier(settings(tmp_path))
    assert not sweep.earlier(replace(settings(tmp_path), steps=6)), "it was shorter"
    recipe = chosen_recipe("world/warpres-s43", tmp_path)
    assert recipe.options["weights"]["w_consistency"] == 0.3


def test_a_sweep_without_a_finished_trial_chooses_nothing(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no trial"):
        sweep.write([], [], settings(tmp_path))
    assert not (tmp_path / "world").exists()


def test_a_grid_whose_least_weight_does_best_goes_on_below_it() -> None:
    grid = [Trial("warpres", weight, images=80, figures={"asked_psnr": 24 - weight}) for weight in (0.03, 0.01, 0.1)]
    assert sweep.below(grid, "warpres") == Trial("warpres", 0.0033)
    assert sweep.below([*grid, replace(grid[0], figures={"asked_psnr": 25.0})], "warpres") is None
    assert sweep.below(grid, "styleres") is None
    consistent = [replace(trial, regulariser=0.01, w_consistency=trial.regulariser) for trial in grid]
    assert sweep.below(consistent, "warpres") == Trial("warpres", 0.01, 0.0033)


def test_the_edges_are_tried_from_the_shipped_networks(tmp_path: Path) -> None:
    grid = [Trial("styleres", weight, 0.0, 80, {"asked_psnr": 24 - weight}) for weight in (0.01, 0.03)]
    tried = list(sweep_edges.trials([asdict(trial) for trial in grid]))
    assert tried == [Trial("styleres", 0.01), Trial("styleres", 0.0033)]
    lines = [sweep_edges.command(trial, tmp_path, "cpu") for trial in tried]
    shipped = load_recipe("world/styleres-paper")
    for trial, line in zip(tried, lines, strict=True):
        assert "--extend" in line
        recipe = load_recipe("world/styleres-paper", [line[k + 1] for k, part in enumerate(line) if part == "--set"])
        assert recipe.output == shipped.output, "it goes on from the shipped file"
        assert recipe.options["weights"]["regulariser"] == trial.regulariser
        more = recipe.steps * recipe.batch - shipped_images(shipped)
        assert sweep_edges.IMAGES - recipe.batch < more <= sweep_edges.IMAGES
        first = shipped_images(shipped) // recipe.batch
        assert recipe.rate_at(first + recipe.warm_up, first) > 0.6 * recipe.rate


def test_a_trial_of_other_values_or_files_begins_anew(tmp_path: Path) -> None:
    trial = Trial("styleres", 0.3)
    start = tmp_path / "world" / "residual-start" / "residual-start.safetensors"
    start.parent.mkdir(parents=True)
    start.write_bytes(b"a start")
    line = sweep.command(trial, settings(tmp_path))
    assert "--fresh" not in line
    recipe = load_recipe(trial.recipe, [line[k + 1] for k, part in enumerate(line) if part == "--set"])
    save_checkpoint(tmp_path / trial.name, {"step": 5, "key": key(recipe, Context(tmp_path))})
    assert "--fresh" not in sweep.command(trial, settings(tmp_path))
    assert "--fresh" in sweep.command(trial, replace(settings(tmp_path), steps=6))
    start.write_bytes(b"another")
    assert "--fresh" in sweep.command(trial, settings(tmp_path))
