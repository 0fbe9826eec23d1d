"""What a training goes on with after a stop: its log, its legs, what it was given, its optimisers."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from bench.core.errors import UsageError
from methods.training.checkpoints import load_checkpoint
from methods.training.loop import train
from tests.unit.training.test_loop import RECIPE, LineTask


def test_logged_means_are_right_after_a_resume(tmp_path: Path) -> None:
    class Constant(LineTask):
        def step(self, step: int, random: torch.Generator) -> Mapping[str, Tensor]:
            super().step(step, random)
            return (
                {"one": torch.tensor(1.0), "even": torch.tensor(2.0)} if step % 2 == 0 else {"one": torch.tensor(1.0)}
            )

    for until in (20, 64, 130):
        train(Constant(), RECIPE, tmp_path, until=until)
    records = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    means = [record["losses"] for record in records if "losses" in record]
    assert len(means) == 5
    assert all(mean == {"one": 1.0, "even": 2.0} for mean in means)
    steps = [record["step"] for record in records if "losses" in record]
    assert steps == [20, 50, 64, 100, 130]


def test_what_was_logged_beyond_the_checkpoint_is_dropped(tmp_path: Path) -> None:
    train(LineTask(), RECIPE, tmp_path, until=60)
    with (tmp_path / "log.jsonl").open("a") as text:
        text.write('{"step": 100, "losses": {"square": 1.0}}\n{"step": Infinity}\n[1]\n{"step": 1')
    with (tmp_path / "log.jsonl").open("ab") as file:
        file.write(b"\xff\xfe\n")
    train(LineTask(), RECIPE, tmp_path)
    records = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    steps = [record["step"] for record in records if "losses" in record]
    assert steps == [50, 60, 100, 150, 200, 250, 300]


def test_provenance_adds_up_all_legs(tmp_path: Path) -> None:
    for until in (10, 25, None):
        train(LineTask(), RECIPE, tmp_path, until=until)
    made = json.loads((tmp_path / "line.json").read_text())
    assert [(leg["from"], leg["to"]) for leg in made["legs"]] == [(0, 10), (10, 25), (25, 300)]
    assert made["wall_time_s"] == round(sum(leg["seconds"] for leg in made["legs"]))
    assert made["pictures"] == 300 * 8


def test_what_was_given_is_told_in_the_file_and_where_it_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for images, until in (("1", 10), ("1", 20), ("2", None)):
        task = LineTask()
        task.given = {"images": images}
        assert "other images" not in capsys.readouterr().err
        train(task, RECIPE, tmp_path, until=until)
    assert "was begun with other images than it goes on with" in capsys.readouterr().err
    assert json.loads((tmp_path / "line.json").read_text())["inputs"] == {"images": "2"}


def test_a_finished_training_of_other_values_is_not_exported_as_this_one(tmp_path: Path) -> None:
    other = replace(RECIPE, digest="other")
    train(LineTask(), RECIPE, tmp_path)
    with pytest.raises(UsageError, match="of other values") as caught:
        train(LineTask(), other, tmp_path)
    assert "--fresh" in caught.value.next_step
    train(LineTask(), other, tmp_path, fresh=True)
    assert json.loads((tmp_path / "line.json").read_text())["recipe_digest"] == "other"


def test_the_optimiser_goes_on_by_the_recipe_of_today(tmp_path: Path) -> None:
    class Other(LineTask):
        def __init__(self) -> None:
            super().__init__()
            self.optimisers["line"].param_groups[0] |= {"betas": (0.5, 0.9), "rate_factor": 0.0}

    train(LineTask(), RECIPE, tmp_path, until=20)
    slower = Other()
    train(slower, RECIPE, tmp_path, until=21)
    group = slower.optimisers["line"].param_groups[0]
    assert (group["betas"], group["rate_factor"], group["lr"]) == ((0.5, 0.9), 0.0, 0.0)
    state = load_checkpoint(tmp_path)
    assert state is not None
    assert state["optimisers"]["line"]["state"][0]["step"] == 21


def test_tensorboard_keeps_what_was_logged_where_a_training_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    purged: list[int] = []

    class Writer:
        def __init__(self, folder: str, purge_step: int) -> None:
            purged.append(purge_step)

        def add_scalar(self, *_: object) -> None: ...

        def close(self) -> None: ...

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=Writer))
    for until in (20, 30):
        train(LineTask(), RECIPE, tmp_path, until=until)
    train(LineTask(), RECIPE, tmp_path, until=5, fresh=True)
    assert purged == [1, 21, 1]  # steps from these on are dropped


def test_a_log_cut_before_the_end_of_its_last_line_goes_on_on_the_next(tmp_path: Path) -> None:
    train(LineTask(), RECIPE, tmp_path, until=20)
    log = tmp_path / "log.jsonl"
    log.write_text(log.read_text().rstrip("\n"))
    train(LineTask(), RECIPE, tmp_path, until=30)
    assert {json.loads(line)["step"] for line in log.read_text().splitlines()} == {20, 30}


def test_a_training_beyond_the_asked_step_was_not_out_of_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(LineTask(), RECIPE, tmp_path, until=20)
    assert train(LineTask(), RECIPE, tmp_path, until=10).step == 20
    assert "out of time" not in capsys.readouterr().err
